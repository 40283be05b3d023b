package domain

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Service is a part of the platform that can run as a process of its own. The words are those of the setting SERVICES, of the contract's
// x-gaia-service and of signed headers.
type Service string

// The services. The gateway is the door for clients; the others are called by it alone.
const (
	ServiceGateway Service = "gateway"
	ServiceAuth    Service = "auth"
	ServiceAsset   Service = "asset"
	ServiceChat    Service = "chat"
)

// Services lists all of them.
func Services() []Service {
	return []Service{ServiceGateway, ServiceAuth, ServiceAsset, ServiceChat}
}

// ParseServices reads a list of services with commas between, in any order. An empty one means all.
func ParseServices(text string) ([]Service, error) {
	var named []Service
	for part := range strings.SplitSeq(text, ",") {
		s := Service(strings.ToLower(strings.TrimSpace(part)))
		switch {
		case s == "":
		case !slices.Contains(Services(), s):
			return nil, fmt.Errorf("%q is none of gateway, auth, asset, chat", s)
		case !slices.Contains(named, s):
			named = append(named, s)
		}
	}
	if named == nil {
		return Services(), nil
	}
	return named, nil
}

// Instance is one process of a service, as another process knows it.
type Instance struct {
	Service Service
	ID      string // names the process for as long as it runs
	Health  PartHealth
	Build   string    // of its program; empty when it has not told
	Seen    time.Time // when it was heard of last; zero when never
}

// Works reports whether a process answers, be it well or not so well.
func (i Instance) Works() bool { return i.Health.Status == Healthy || i.Health.Status == Degraded }

// Hop says how a request reaches a service that runs elsewhere.
type Hop struct {
	Service    Service
	Caller     Forwarded
	Wait       time.Duration // for the head of the answer; what follows may take as long as it keeps coming
	Repeatable bool          // to ask again does no harm, even when the first request was carried out
}

// HopCounts says what became of requests for one service that runs elsewhere, since this process started.
type HopCounts struct {
	Requests uint64
	Retries  uint64 // attempts after the first
	Away     uint64 // requests for which there was no address that could be used
	Late     uint64 // attempts without an answer in time
	Lost     uint64 // attempts whose connection failed, or could not be made
	Refused  uint64 // attempts whose signature was not believed
	Rationed uint64 // attempts that were not made, for there were too many of them
	Broken   uint64 // answers that began and did not come to their end
}

// ErrBrokenOff is the error of an answer that began and can't be finished: the service that gave it has gone.
var ErrBrokenOff = errors.New("the answer broke off")
