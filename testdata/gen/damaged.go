package main

import "strings"

// damage collects the damaged checkpoints.
type damage map[string]folder

// add makes a case; each line of want must occur in the error.
func (d damage) add(name string, f folder, want ...string) {
	if _, twice := d[name]; twice {
		panic("two cases " + name)
	}
	if len(want) == 0 {
		panic(name + " wants no error")
	}
	f.text("want.txt", strings.Join(want, "\n")+"\n")
	d[name] = f
}

func damagedCheckpoints() map[string]folder {
	d := damage{}
	d.safetensors()
	d.headers()
	d.indexes()
	d.configs()
	d.gptqTensors()
	d.awqTensors()
	d.awqConfigs()
	d.autoRound()
	d.ctTensors()
	d.ctConfigs()
	d.slimTensors()
	d.slimDescriptions()
	d.stacks()
	d.dense()
	return d
}

// down is the one layer of the small checkpoints that get damaged.
const down = block + "mlp.down_proj"

// plainConfig is the config.json of a dense model.
var plainConfig = modelConfig("F16", 16, 32, 16, "")

// smallDense is a dense model of one layer.
func smallDense() tensors {
	return tensors{floats(down+".weight", "F16", drawPlain("small", "F16", 16*32, 0.05), 16, 32)}
}

// plainFolder is a dense model in the given file.
func plainFolder(file []byte) folder {
	f := folder{"model.safetensors": file}
	f.text("config.json", plainConfig)
	return f
}

// dense: what is not finite cannot be quantized on load, and is named.
func (d damage) dense() {
	ts := smallDense()
	copy(ts[0].data[2*33:], []byte{0x00, 0x7e}) // row 1, feature 1
	d.add("dense-weight-nan", plainFolder(ts.file()), down, "NaN", "finite")
	ts = smallDense()
	copy(ts[0].data[2*33:], []byte{0x00, 0xfc})
	d.add("dense-weight-inf", plainFolder(ts.file()), down, "-Inf", "finite")
	d.add("dense-weight-f64", plainFolder(tensors{floats(down+".weight", "F64", make([]float64, 16*32), 16, 32)}.file()), down, "F64, which is not read", "BF16")
	ts = smallDense()
	ts.add(floats(down+".bias", "F16", make([]float64, 15), 15))
	d.add("dense-bias-shape", plainFolder(ts.file()), down, "bias", "[15]", "16")
}
