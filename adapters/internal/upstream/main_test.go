package upstream_test

import (
	"testing"

	"go.uber.org/goleak"
)

// Neither a call nor a download may leave a goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
