package anthropic_test

import (
	"flag"
	"testing"

	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "write the golden files")

// No stream may leave a goroutine behind: that would be one for each client that ever left early.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
