package tiercache

import (
	"math"
	"reflect"
	"time"

	"gaia/ports"
)

const (
	// overhead is what an entry takes beside its value: the entry, its place in the cache and its key.
	overhead = 256
	// deepest is how far a value is looked into. What use cases cache is shallower; a value that holds itself must not be endless.
	deepest = 32
)

// weigh tells how much memory an entry takes, about. It follows what the value points to, and counts what it meets twice twice: better
// too much than too little.
func weigh(key ports.CacheKey, value any) uint32 {
	n := overhead + len(key.Space) + len(key.Name)
	if value != nil {
		v := reflect.ValueOf(value)
		n += int(v.Type().Size()) + behind(v, deepest)
	}
	return uint32(min(n, math.MaxUint32)) // #nosec G115 -- bounded here
}

var timeType = reflect.TypeFor[time.Time]()

// behind is what v points to, without v itself.
func behind(v reflect.Value, depth int) (n int) {
	if depth == 0 || v.Type() == timeType { // all times share their places
		return 0
	}
	switch v.Kind() {
	case reflect.String:
		return v.Len()
	case reflect.Slice:
		return v.Cap()*int(v.Type().Elem().Size()) + elements(v, depth)
	case reflect.Array:
		return elements(v, depth)
	case reflect.Map:
		const slot = 8 // of bookkeeping, and some that are empty
		each := int(v.Type().Key().Size()+v.Type().Elem().Size()) + slot
		for entries := v.MapRange(); entries.Next(); {
			n += each + behind(entries.Key(), depth-1) + behind(entries.Value(), depth-1)
		}
		return n
	case reflect.Struct:
		for i := range v.NumField() {
			n += behind(v.Field(i), depth-1)
		}
		return n
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return 0
		}
		return int(v.Elem().Type().Size()) + behind(v.Elem(), depth-1)
	default:
		return 0
	}
}

func elements(v reflect.Value, depth int) (n int) {
	if plain(v.Type().Elem().Kind()) {
		return 0
	}
	for i := range v.Len() {
		n += behind(v.Index(i), depth-1)
	}
	return n
}

// plain tells whether values of a kind point nowhere, so that long texts in bytes need not be looked at one by one.
func plain(k reflect.Kind) bool { return k <= reflect.Complex128 }
