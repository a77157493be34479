package document

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// Text is a JSON string or number; everything else is empty. Engines write 38170 and "38170" for the same field.
type Text string

// UnmarshalJSON never fails.
func (t *Text) UnmarshalJSON(raw []byte) error {
	var s string
	var n json.Number
	switch {
	case json.Unmarshal(raw, &s) == nil:
		*t = Text(s)
	case json.Unmarshal(raw, &n) == nil:
		*t = Text(n)
	default:
		*t = ""
	}
	return nil
}

// Number is the value of a text that is a decimal number.
func (t Text) Number() (float64, bool) {
	n, err := strconv.ParseFloat(string(t), 64)
	return n, err == nil
}

// List is a JSON array of T, or one T alone. Elements of another shape are left out; anything else is an empty list.
type List[T any] []T

// maxInner bounds the lists inside an element.
const maxInner = 1000

// UnmarshalJSON never fails.
func (l *List[T]) UnmarshalJSON(raw []byte) error {
	*l = nil
	if len(raw) == 0 || raw[0] != '[' {
		l.add(raw)
		return nil
	}
	items := json.NewDecoder(bytes.NewReader(raw))
	_, _ = items.Token() // the opening bracket; raw is valid JSON
	for seen := 0; items.More() && seen < maxInner; seen++ {
		var item json.RawMessage
		if items.Decode(&item) != nil {
			break
		}
		l.add(item)
	}
	return nil
}

func (l *List[T]) add(item json.RawMessage) {
	var v T
	if string(item) != "null" && json.Unmarshal(item, &v) == nil {
		*l = append(*l, v)
	}
}

// Object is a JSON object of the shape T; of anything else, the zero T.
type Object[T any] struct{ V T }

// UnmarshalJSON never fails.
func (o *Object[T]) UnmarshalJSON(raw []byte) error {
	var v T
	if json.Unmarshal(raw, &v) == nil {
		o.V = v
	}
	return nil
}
