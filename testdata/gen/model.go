package main

import "fmt"

// A small decoder block, so that the checkpoints look like those of model hubs.
const block = "model.layers.0."

// addCommon adds the tensors that no reader quantizes: embeddings, norms, and
// a plain lm_head, whose x and y go into expected.
func addCommon(ts, expected *tensors, seed, t string, hidden, vocab int) {
	ts.add(floats("model.embed_tokens.weight", t, drawPlain(seed+"embed", t, vocab*hidden, 0.02), vocab, hidden))
	for _, norm := range []string{"model.norm", block + "input_layernorm", block + "post_attention_layernorm"} {
		ones := make([]float64, hidden)
		for i := range ones {
			ones[i] = 1
		}
		ts.add(floats(norm+".weight", t, ones, hidden))
	}
	head := drawPlain(seed+"lm_head", t, vocab*hidden, 0.05)
	ts.add(floats("lm_head.weight", t, head, vocab, hidden))
	expectPlain(expected, "lm_head", t, head, vocab, hidden)
}

var torchNames = map[string]string{"F32": "float32", "F16": "float16", "BF16": "bfloat16"}

// modelConfig is a config.json; quantization is its last key with value, or
// empty.
func modelConfig(t string, hidden, inner, vocab int, quantization string) string {
	if quantization != "" {
		quantization = ",\n  " + quantization
	}
	return fmt.Sprintf(`{
  "architectures": [
    "LlamaForCausalLM"
  ],
  "hidden_size": %d,
  "intermediate_size": %d,
  "model_type": "llama",
  "num_hidden_layers": 1,
  "tie_word_embeddings": false,
  "torch_dtype": %q,
  "vocab_size": %d%s
}
`, hidden, inner, torchNames[t], vocab, quantization)
}
