package e2e

import (
	"flag"
	"runtime"
	"strconv"
	"testing"

	"gaia/tests/gaiatest"
)

// testsPerCPU is how many tests run at once for each processor: they wait for servers, streams and deadlines more than they compute.
const testsPerCPU = 3

func TestMain(m *testing.M) {
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if !chosen {
		if err := flag.Set("test.parallel", strconv.Itoa(testsPerCPU*runtime.GOMAXPROCS(0))); err != nil {
			panic(err) // the name of a flag of package testing
		}
	}
	gaiatest.Main(m, gaiatest.Answers, replayed.write)
}
