package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// goResult is a line of a Go benchmark.
type goResult struct{ nanos, bytes, allocs float64 }

// goBenchmarks runs the Go benchmarks of authentication, which see allocations and what a request over a network would drown.
func goBenchmarks(ctx context.Context) (map[string]goResult, error) {
	progress("Go benchmarks of authentication")
	program := os.Getenv("GO")
	if program == "" {
		program = "go"
	}
	cmd := exec.CommandContext(ctx, program, "test", "-run", "^$", "-bench", "^BenchmarkAuthenticate", "-benchmem", "./cmd/gaia") //nolint:gosec // the operator's own go
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go benchmarks: %w: %s", err, out)
	}
	return parseGoBenchmarks(out)
}

// parseGoBenchmarks reads the lines of results, by the names of the benchmarks without "Benchmark" and the number of processors.
func parseGoBenchmarks(out []byte) (map[string]goResult, error) {
	results := map[string]goResult{}
	lines := bufio.NewScanner(bytes.NewReader(out))
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		if len(fields) < 2 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		name := strings.TrimPrefix(fields[0], "Benchmark")
		if dash := strings.LastIndexByte(name, '-'); dash > 0 {
			name = name[:dash]
		}
		var r goResult
		for i := 2; i+1 < len(fields); i += 2 {
			value, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return nil, fmt.Errorf("a line of a benchmark: %q", lines.Text())
			}
			switch fields[i+1] {
			case "ns/op":
				r.nanos = value
			case "B/op":
				r.bytes = value
			case "allocs/op":
				r.allocs = value
			}
		}
		results[name] = r
	}
	if len(results) == 0 {
		return nil, fmt.Errorf("no result of a benchmark in %q", out)
	}
	return results, lines.Err()
}
