// Copyright The SIFScan Authors.
// SPDX-License-Identifier: Apache-2.0

// Package filled makes values without an empty field, for tests of what is written out field by field: a field that is added to a
// type, and forgotten there, is missed.
package filled

import (
	"fmt"
	"reflect"
	"time"
)

// Value returns a T in which nothing is empty. Each text is another, and holds what JSON escapes.
func Value[T any]() T {
	var v T
	n := 0
	fill(reflect.ValueOf(&v).Elem(), &n)
	return v
}

func fill(v reflect.Value, n *int) {
	*n++
	if at, is := v.Addr().Interface().(*time.Time); is {
		*at = time.Date(2026, 11, 22, 1, 30, *n%60, 0, time.UTC)
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprintf("text %d \"\\<&>\x01é\u2028", *n))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(*n))
	case reflect.Float64:
		v.SetFloat(float64(*n) / 10)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, n)
		fill(value, n)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	default:
		panic("filled: a " + v.Kind().String() + " in " + v.Type().String())
	}
}
