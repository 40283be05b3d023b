package supabase_test

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "write the golden files")

// No call may leave a goroutine or a connection behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
