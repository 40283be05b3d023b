package domain

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
)

// maxStoredNumber is how many characters the longest number has that is stored as one.
const maxStoredNumber = 400

// StoredJSON encodes a map so that every store can keep it and everybody can read it. Characters that no store keeps are replaced. A number
// that is none for most readers, such as 1e999, becomes a text.
func StoredJSON(m map[string]any) ([]byte, error) {
	raw, err := json.Marshal(orEmptyMap(m))
	if err != nil || !bytes.Contains(raw, []byte(`\u0000`)) && plainNumbers(m) {
		return raw, err
	}
	tidy, err := decodeNumbers(raw)
	if err != nil {
		return nil, err
	}
	return json.Marshal(tidyJSON(tidy, func(n json.Number) any {
		if plainNumber(n) {
			return n
		}
		return n.String()
	}))
}

// MapFromStored reads what StoredJSON made, and what somebody else did: numbers are float64, those that can't be are texts.
func MapFromStored(raw []byte) (map[string]any, error) {
	var m map[string]any
	if json.Unmarshal(raw, &m) == nil {
		return m, nil
	}
	decoded, err := decodeNumbers(raw)
	if err != nil {
		return nil, err
	}
	m, ok := tidyJSON(decoded, func(n json.Number) any {
		if f, err := n.Float64(); err == nil {
			return f
		}
		return n.String()
	}).(map[string]any)
	if !ok {
		return nil, errors.New("no JSON object")
	}
	return m, nil
}

func decodeNumbers(raw []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}

// plainNumbers reports whether a value holds no number that is to become a text. Only those can be that stand there as they were written.
func plainNumbers(v any) bool {
	switch v := v.(type) {
	case json.Number:
		return plainNumber(v)
	case json.RawMessage:
		return false // who knows
	case []any:
		for _, inner := range v {
			if !plainNumbers(inner) {
				return false
			}
		}
	case map[string]any:
		for _, inner := range v {
			if !plainNumbers(inner) {
				return false
			}
		}
	}
	return true
}

// plainNumber reports whether a number is a finite float64, about, and short enough for every store.
func plainNumber(n json.Number) bool {
	if len(n) > maxStoredNumber {
		return false
	}
	f, err := strconv.ParseFloat(string(n), 64)
	return err == nil && (f != 0 || !strings.ContainsAny(string(n), "eE"))
}

// tidyJSON makes a value one that can be stored.
func tidyJSON(v any, number func(json.Number) any) any {
	switch v := v.(type) {
	case json.Number:
		return number(v)
	case string:
		return storable(v, math.MaxInt)
	case []any:
		for i := range v {
			v[i] = tidyJSON(v[i], number)
		}
		return v
	case map[string]any:
		tidy := make(map[string]any, len(v))
		for name, value := range v {
			tidy[storable(name, math.MaxInt)] = tidyJSON(value, number)
		}
		return tidy
	default:
		return v
	}
}
