package api

import (
	"encoding/json"
	"errors"
	"math"
)

// integer is a number of a body that JSON Schema takes for an integer: 7, and 7.0 as well.
type integer int64

// UnmarshalJSON implements json.Unmarshaler.
func (i *integer) UnmarshalJSON(b []byte) error {
	var n float64
	if err := json.Unmarshal(b, &n); err != nil {
		return err
	}
	if n != math.Trunc(n) || math.Abs(n) > 1<<53 {
		return errors.New("no integer")
	}
	*i = integer(n)
	return nil
}
