package safetensors

import (
	"strconv"

	"github.com/bitlane/bitlane/quant"
)

// Rule is a rule of the format, named as the reference parser names the error
// for breaking it. Every error about a file's content is a *quant.FieldError
// whose class is a Rule: errors.Is finds the Rule and quant.ErrFormat both,
// errors.As finds the Rule.
type Rule string

// The rules, in the order in which they are checked. InvalidOffset to
// TensorInvalidInfo are checked tensor by tensor, in order of offset.
const (
	HeaderTooSmall               Rule = "HeaderTooSmall"               // the file has fewer than 8 bytes
	HeaderTooLarge               Rule = "HeaderTooLarge"               // the header has more than MaxHeader bytes
	InvalidHeaderLength          Rule = "InvalidHeaderLength"          // the header ends beyond the file
	InvalidHeader                Rule = "InvalidHeader"                // the header is not UTF-8
	InvalidHeaderDeserialization Rule = "InvalidHeaderDeserialization" // not JSON, not of the right structure, or an unknown type
	InvalidOffset                Rule = "InvalidOffset"                // a tensor does not begin where the one before it ends
	ValidationOverflow           Rule = "ValidationOverflow"           // a shape whose size is not a 64-bit number
	MisalignedSlice              Rule = "MisalignedSlice"              // a tensor that ends inside a byte
	TensorInvalidInfo            Rule = "TensorInvalidInfo"            // shape and offsets disagree
	MetadataIncompleteBuffer     Rule = "MetadataIncompleteBuffer"     // the file is shorter or longer than its tensors
)

// The rules beyond one file's layout.
const (
	TensorNotFound Rule = "TensorNotFound" // no tensor of that name, or not in the file that the index names
	InvalidIndex   Rule = "InvalidIndex"   // model.safetensors.index.json is damaged, or names a file that it must not
	TensorTwice    Rule = "TensorTwice"    // a tensor is in two files
)

// MaxHeader is the largest length of a header, in bytes; so many are allowed.
const MaxHeader = 100_000_000

// Error returns the class and the rule's name.
func (r Rule) Error() string { return quant.ErrFormat.Error() + ": " + string(r) }

// Unwrap returns quant.ErrFormat.
func (r Rule) Unwrap() error { return quant.ErrFormat }

// shown makes a name from a file fit for a message: quoted where it holds
// anything unusual, and cut where it is long.
func shown(name string) string {
	const most = 160
	cut := name
	if len(cut) > most {
		cut = cut[:most] + "..."
	}
	for i := 0; i < len(cut); i++ {
		if c := cut[i]; c <= ' ' || c >= 0x7f || c == '"' {
			return strconv.Quote(cut)
		}
	}
	if cut == "" {
		return `""`
	}
	return cut
}
