package prepacked

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/bitlane/bitlane/checkpoint"
	"github.com/bitlane/bitlane/quant"
)

// fresh is how long after a change a file may be changed again with the same
// times: of what was changed so lately no digest is kept.
const fresh = 2 * time.Second

// hashBytes is how much of a tensor is read at a time.
const hashBytes = 1 << 20

// digest is the SHA-256 of a tensor's bytes in hexadecimal digits, by memory where its file is
// the one that was read before.
func (c *Cache) digest(ctx context.Context, src Source, t *checkpoint.OriginTensor) (string, error) {
	memory := ""
	if t.Stamp != "" {
		sum := sha256.Sum256([]byte(t.Name + "\n" + t.Stamp))
		memory = c.path("tensors", hex.EncodeToString(sum[:]))
		if text, err := readRecord(memory); err == nil && len(text) == 2*sha256.Size {
			c.use(memory)
			return text, nil
		}
	}
	h := sha256.New()
	b := make([]byte, min(hashBytes, t.Bytes))
	for at := int64(0); at < t.Bytes; {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		piece := b[:min(int64(len(b)), t.Bytes-at)]
		if err := src.ReadTensorAt(piece, t.Name, at); err != nil {
			return "", err
		}
		h.Write(piece)
		at += int64(len(piece))
	}
	text := hex.EncodeToString(h.Sum(nil))
	if memory != "" && c.now().Sub(t.Changed) > fresh {
		_ = c.writeRecord(memory, text) // without it, it is computed again
	}
	return text, nil
}

// content is what a part of a layer is made of.
type content struct {
	key    string // names it; empty: it cannot be named
	stamps []string
}

// content reads what a part is made of.
func (c *Cache) content(ctx context.Context, src Source, p *Part) (content, error) {
	o, err := src.Origin(p.Name)
	if err != nil {
		return content{}, err
	}
	h := sha256.New()
	fmt.Fprintf(h, "bitlane packed weights %d, %s\n%s\n%q %v\n", fileVersion, version(), o.Settings, p.Name, p.Cuts)
	for i := range o.Tensors {
		t := &o.Tensors[i]
		digest, err := c.digest(ctx, src, t)
		if err != nil {
			return content{}, err
		}
		fmt.Fprintf(h, "%q %s %v %s\n", t.Name, t.Type, t.Shape, digest)
	}
	return content{hex.EncodeToString(h.Sum(nil)), stamps(&o)}, nil
}

func stamps(o *checkpoint.Origin) (all []string) {
	for i := range o.Tensors {
		all = append(all, o.Tensors[i].Stamp)
	}
	return all
}

// unchanged fails where the files of a part are not what they were when their content was read:
// what was loaded since may be something else.
func (k *content) unchanged(src Source, p *Part) error {
	o, err := src.Origin(p.Name)
	if err == nil && !slices.Equal(stamps(&o), k.stamps) {
		err = quant.Errorf(quant.ErrFormat, p.Name, "tensors", "files that nobody writes to", "changed while they were read")
	}
	return err
}
