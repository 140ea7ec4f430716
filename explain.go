package bitlane

import (
	"context"

	"github.com/bitlane/bitlane/backend"
)

// Explain gives the verdicts of every kernel of every registered backend on s,
// one report for each device of this machine. A backend without devices has
// one report, with the reason and with what its kernels would say on a device
// that is known by its backend alone; none of them is chosen. Where the options
// name a kernel that no backend has, that is the reason in every report.
func Explain(ctx context.Context, s backend.Spec, o ChooseOptions) []Report {
	w, _ := o.wishes()
	err := o.Check()
	var reports []Report
	for _, b := range backend.Backends() {
		devices, absence := b.Devices(ctx)
		if err != nil {
			absence, devices = err, nil
		}
		for _, d := range devices {
			r, _ := w.judge(b, d, s)
			reports = append(reports, r)
		}
		if len(devices) > 0 {
			continue
		}
		r, _ := w.judge(b, backend.DeviceInfo{Backend: b.Name(), Family: b.Name()}, s)
		r.Reason = reasonOf(absence)
		for i := range r.Verdicts {
			r.Verdicts[i].Chosen = false
		}
		reports = append(reports, r)
	}
	return reports
}
