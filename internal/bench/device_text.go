package bench

import (
	"cmp"
	"fmt"
	"io"
	"strings"
)

const deviceColumns = "%-12s  %-24s  %-8s  %-26s  %5s  %9s  %9s  %7s  %8s  %8s  %8s  %s\n"

// DevicePrinter returns a DeviceWatcher that writes a table, row by row as it
// comes.
func DevicePrinter(w io.Writer) DeviceWatcher {
	row := func(values ...any) {
		fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf(deviceColumns, values...), " \n"))
	}
	return DeviceWatcher{
		Begin: func(r *DeviceReport) {
			driver := ""
			if r.Device.Driver != "" {
				driver = ", driver " + r.Device.Driver
			}
			if r.Device.Tuning != nil {
				driver += fmt.Sprintf(", tuned %v", r.Device.Tuning)
			}
			fmt.Fprintf(w, "%v, %s%s; timed by the device, beside copies of %d KiB in turns\n\n", r.Device, r.Device.Arch, driver, r.CopySize>>10)
			row("K x N", "scheme", "x", "kernel", "M", "p50", "p10", "GB/s", "of copy", "TFLOP/s", "of dense", "samples")
		},
		Cell: func(c *DeviceCell) {
			if c.State != StateOK {
				form, rows := fmt.Sprintf("w%d g%d", c.Bits, c.Group), ""
				if c.Bits == PlainBits {
					form = "plain"
				}
				if c.M > 0 {
					rows = fmt.Sprintf(", M %d", c.M)
				}
				fmt.Fprintf(w, "%-12s  %s, %s%s: not measured: %s\n", c.Shape, form, c.DType, rows, c.Why)
				return
			}
			how := fmt.Sprintf("%d of %d", c.Samples, c.Applies)
			if c.Graph {
				how += ", graph"
			}
			if !c.Cold {
				how += ", warm"
			}
			ofDense := "-"
			if c.Dense != "" {
				ofDense = fmt.Sprintf("%.0f %%", 100*c.OfDense)
			}
			row(c.Shape, c.Scheme, c.DType, c.Kernel, fmt.Sprint(c.M), seconds(c.P50), seconds(c.P10), number(c.GBps),
				fmt.Sprintf("%.0f %%", 100*c.OfCopy), fmt.Sprintf("%.3g", c.Tflops), ofDense, how)
		},
	}
}

// End writes what is left to say of a report.
func (r *DeviceReport) End(w io.Writer) {
	if r.CopyGBps > 0 {
		r.endOfCopies(w)
	}
	r.tally().close(w)
}

// endOfCopies writes the copies' speed, and what "of dense" is.
func (r *DeviceReport) endOfCopies(w io.Writer) {
	fmt.Fprintf(w, "\ncopies moved %s GB/s, read and written\n", number(r.CopyGBps))
	by, why := "", ""
	for i := range r.Cells {
		by, why = cmp.Or(by, r.Cells[i].Dense), cmp.Or(why, r.Cells[i].DenseWhy)
	}
	if by != "" {
		fmt.Fprintf(w, "\"of dense\" is the time of the vendor's product of as many 16-bit weights by that of the layer, planned for these rows\nalone and without cutting K: %s\n", by)
	}
	if why != "" {
		fmt.Fprintf(w, "\"-\" where the vendor's product could not be had: %s\n", why)
	}
}
