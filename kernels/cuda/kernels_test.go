package cuda

import "testing"

func TestFirst(t *testing.T) {
	for _, k := range Kernels() {
		if k.Family > Tile {
			continue
		}
		t.Run(k.Name, func(t *testing.T) {
			cell{kernel: k, m: 5, n: 70, k: 72, exact: true, yKind: KindF32, scaleKind: KindF16}.check(t)
			cell{kernel: k, m: 9, n: 33, k: 300, group: 64, zeros: true, exact: true, yKind: KindF32, scaleKind: KindF32}.check(t)
			cell{kernel: k, m: 9, n: 33, k: 300, group: 64, zeros: true, yKind: KindF32, scaleKind: KindF32}.check(t)
			cell{kernel: k, m: 9, n: 33, k: 300, group: 64, zeros: true, yKind: KindF32, scaleKind: KindF32, fine: true, slices: 3, bias: true}.check(t)
			cell{kernel: k, m: 3, n: 33, k: 299, group: 64, zeros: true, yKind: KindF16, scaleKind: KindBF16, fine: true, exact: true, unaligned: true}.check(t)
		})
	}
}
