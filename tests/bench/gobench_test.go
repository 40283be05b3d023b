package main

import "testing"

func TestParseGoBenchmarks(t *testing.T) {
	t.Parallel()
	got, err := parseGoBenchmarks([]byte(`goos: linux
pkg: gaia/cmd/gaia
BenchmarkAuthenticate/HS256/cold-2         	   22191	     49809 ns/op	    7256 B/op	     125 allocs/op
BenchmarkAuthenticate/global_key-16        	 2935578	       385.5 ns/op	       0 B/op	       0 allocs/op
PASS
ok  	gaia/cmd/gaia	14.248s
`))
	if err != nil || len(got) != 2 {
		t.Fatalf("%v, %v", got, err)
	}
	for name, want := range map[string]goResult{"Authenticate/HS256/cold": {49809, 7256, 125}, "Authenticate/global_key": {385.5, 0, 0}} {
		if got[name] != want {
			t.Errorf("%s: %v, want %v", name, got[name], want)
		}
	}
	for name, out := range map[string]string{"nothing": "", "no result": "PASS\n", "no number": "BenchmarkX-2 100 fast ns/op\n"} {
		if got, err := parseGoBenchmarks([]byte(out)); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}
