package localauth_test

import (
	"testing"
	"time"

	"gaia/adapters/localauth"
	"gaia/ports"
	"gaia/ports/portstest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	portstest.Accounts(t, func(t *testing.T) ports.Accounts {
		return start(t, func(c *localauth.Config) { c.Now, c.Grace = time.Now, -1 })
	})
}
