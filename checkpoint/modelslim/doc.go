// Package modelslim reads the integer checkpoints that Ascend's msModelSlim
// writes ("ascendV1") into the canonical form. A description file names the
// type of every tensor:
//
//	quant_model_description.json, quant_model_description_TYPE.json
//	{
//	  "model_quant_type": "W8A8_DYNAMIC", "version": "1.0.0", "group_size": 0, …
//	  "model.layers.0.mlp.up_proj.weight":        "W8A8_DYNAMIC",
//	  "model.layers.0.mlp.up_proj.weight_scale":  "W8A8_DYNAMIC",
//	  "model.layers.0.mlp.up_proj.weight_offset": "W8A8_DYNAMIC",
//	  "model.norm.weight": "FLOAT", …
//	}
//
// and a module that is read has
//
//	weight        int8  [N, K]          one code a byte, also those of 4 bits: −8..7
//	weight_scale  float [N, 1] or [N]   [N, K/group_size] where the type has groups
//	weight_offset float like the scales nothing but zeros; may be missing
//	bias          float [N]             optional
//	left_trans    float [L, L]          of FlatQuant's types: K = L·R
//	right_trans   float [R, R]
//	clip_ratio    float [1]
//
//	type                     codes    activations
//	W8A16                    8 bits   exact
//	W8A8_DYNAMIC             8 bits   int8-token-ascend
//	W4A4_DYNAMIC             4 bits   int4-token-ascend
//	W4A4_FLATQUANT_DYNAMIC   4 bits   int4-flatquant, left_trans stored transposed
//
// An offset that is not zero is refused: the writer means (weight − offset) ·
// scale, the operator of the device adds it, and servers leave it out. All
// other types are refused by name, module by module.
//
// Nothing that knows a kernel or a device enters this package, and no decoding
// of files other than these. Where the files are is the business of package
// checkpoint.
package modelslim
