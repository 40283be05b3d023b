package warm

import (
	"testing"

	"gaia/tests/gaiatest"
)

func TestMain(m *testing.M) { gaiatest.Main(m) }
