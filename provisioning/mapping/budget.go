package mapping

import (
	"encoding/json"
	"fmt"
)

// maxWork is how many bytes one evaluation may read and write in all: the texts that it reads from
// attributes, those that its functions are given and those that they make. Each element of a list and
// each name of an object counts perElement more. As there are no loops, nothing else grows.
// The expressions of one resource have maxTotal together.
const (
	maxWork    = 256 << 10
	maxTotal   = 4 << 20
	perElement = 16
)

// errTooMuch ends an evaluation that reached maxWork, or what the others of the resource left of maxTotal.
var errTooMuch = fmt.Errorf("the expression reads and writes more than %d KiB, or all of the resource more than %d MiB", maxWork>>10, maxTotal>>20)

// budget is how many bytes may still be read and written.
type budget struct{ work int }

// spend takes n bytes from what is left.
func (b *budget) spend(n int) error {
	if n < 0 || n > b.work {
		b.work = 0
		return errTooMuch
	}
	b.work -= n
	return nil
}

// charge spends the size of a value. It stops where there is nothing left, however large the value.
func (b *budget) charge(v any) error {
	switch v := v.(type) {
	case string:
		return b.spend(len(v))
	case json.Number:
		return b.spend(len(v))
	case []any:
		for _, element := range v {
			if err := b.chargeElement(element, 0); err != nil {
				return err
			}
		}
	case map[string]any:
		for key, element := range v {
			if err := b.chargeElement(element, len(key)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *budget) chargeElement(v any, name int) error {
	if err := b.spend(perElement + name); err != nil {
		return err
	}
	return b.charge(v)
}
