package e2e

import (
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"gaia/tests/gaiatest"
)

// behind starts a gateway with its own settings, before one process of auth and asset, and so many of chat.
func behind(t *testing.T, chats int, ofGateway gaiatest.Settings) *gaiatest.Server {
	t.Helper()
	backend := gaiatest.Full(t)
	common := gaiatest.Settings{"INTERNAL_AUTH_SECRET": "a-secret-between-services-of-tests", "ECHO_WORD_DELAY": "0.05"}
	start := func(service string) string {
		return backend.Start(t, common, gaiatest.Settings{"SERVICES": service}).URL()
	}
	where := gaiatest.Settings{"SERVICES": "gateway", "AUTH_SERVICE_URL": start("auth"), "ASSET_SERVICE_URL": start("asset"), "CHAT_SERVICE_URL": start("chat")}
	for range chats - 1 {
		where["CHAT_SERVICE_URL"] += "," + start("chat")
	}
	return backend.Start(t, common, where, ofGateway)
}

// streamsAtOnce asks for streams of different callers at the same time, and counts those that are answered and those that are refused.
func streamsAtOnce(t *testing.T, server *gaiatest.Server, n int) (answered, refused int) {
	t.Helper()
	var ok, busy atomic.Int64
	var all sync.WaitGroup
	for i := range n {
		c := server.As(uuid.NewString())
		all.Go(func() {
			r := c.Post(typedRoute, message("Number "+strconv.Itoa(i)))
			switch r.Status {
			case http.StatusOK:
				ok.Add(1)
			case http.StatusServiceUnavailable:
				busy.Add(1)
			default:
				t.Errorf("stream %d: status %d: %s", i, r.Status, r.Body)
			}
		})
	}
	all.Wait()
	return int(ok.Load()), int(busy.Load())
}

// TestMoreProcessesDoMore: what a gateway does itself does not limit what it hands on.
func TestMoreProcessesDoMore(t *testing.T) {
	t.Parallel()
	server := behind(t, 2, gaiatest.Settings{"MAX_CONCURRENT_REQUESTS": "2"})
	if answered, refused := streamsAtOnce(t, server, 12); answered != 12 {
		t.Errorf("%d of 12 streams were answered, %d refused", answered, refused)
	}
}

func TestAGatewayHandsOnNoMoreThanItMay(t *testing.T) {
	t.Parallel()
	server := behind(t, 1, gaiatest.Settings{"MAX_FORWARDED_REQUESTS": "2"})
	if answered, refused := streamsAtOnce(t, server, 12); answered < 2 || refused == 0 {
		t.Errorf("%d of 12 streams were answered, %d refused", answered, refused)
	}
}
