package prepacked

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/bitlane/bitlane/checkpoint"
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
		if text, ok := readRecord(memory); ok && len(text) == 2*sha256.Size {
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

// key names a part of a layer by its content.
func (c *Cache) key(ctx context.Context, src Source, p *Part) (string, error) {
	o, err := src.Origin(p.Name)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	fmt.Fprintf(h, "bitlane packed weights %d, %s\n%s\n%q %v\n", fileVersion, version(), o.Settings, p.Name, p.Cuts)
	for i := range o.Tensors {
		t := &o.Tensors[i]
		digest, err := c.digest(ctx, src, t)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%q %s %v %s\n", t.Name, t.Type, t.Shape, digest)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
