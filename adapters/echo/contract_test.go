package echo_test

import (
	"testing"
	"time"

	"gaia/adapters/echo"
	"gaia/domain"
	"gaia/ports/portstest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	portstest.Completer(t, func(*testing.T) portstest.CompleterSetup {
		return portstest.CompleterSetup{
			Prompt:  domain.Prompt{Model: echo.Model, Messages: []domain.PromptMessage{{Role: domain.RoleUser, Content: "Hello there"}}},
			Answers: echo.New(echo.Config{}),
			Stalls:  echo.New(echo.Config{WordDelay: time.Hour}),
		}
	})
}
