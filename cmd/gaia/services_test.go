package main

import (
	"slices"
	"strings"
	"testing"

	"gaia/domain"
)

// apart are the settings that a process needs that serves a part of the platform.
func apart(more ...string) []string {
	return append([]string{
		"DATABASE_URL=postgres://db/gaia", "NATS_URL=nats://nats:4222", "INTERNAL_AUTH_SECRET=" + strings.Repeat("s", 32), "API_KEY=key",
	}, more...)
}

func TestWhatAServiceNeeds(t *testing.T) {
	t.Parallel()
	for about, c := range map[string]struct {
		environment []string
		want        string // in the error; empty: there is none
	}{
		"chat":                   {apart("SERVICES=chat"), ""},
		"two services":           {apart("SERVICES=auth,asset"), ""},
		"the gateway":            {apart("SERVICES=gateway", "AUTH_SERVICE_URL=http://a:1", "ASSET_SERVICE_URL=http://b:1", "CHAT_SERVICE_URL=http://c:1,http://d:1"), ""},
		"the gateway with chat":  {apart("SERVICES=gateway,chat", "AUTH_SERVICE_URL=http://a:1", "ASSET_SERVICE_URL=http://b:1"), ""},
		"all, by name":           {[]string{"SERVICES=chat,asset,auth,gateway"}, ""},
		"a word":                 {apart("SERVICES=chats"), "SERVICES:"},
		"no database":            {apart("SERVICES=chat", "DATABASE_URL="), "DATABASE_URL:"},
		"no bus":                 {apart("SERVICES=chat", "NATS_URL="), "NATS_URL:"},
		"no secret":              {apart("SERVICES=chat", "INTERNAL_AUTH_SECRET="), "INTERNAL_AUTH_SECRET:"},
		"a short secret":         {apart("SERVICES=chat", "INTERNAL_AUTH_SECRET=short"), "INTERNAL_AUTH_SECRET:"},
		"no key":                 {apart("SERVICES=chat", "API_KEY="), "API_KEY:"},
		"a gateway to nowhere":   {apart("SERVICES=gateway", "AUTH_SERVICE_URL=http://a:1", "ASSET_SERVICE_URL=http://b:1"), "CHAT_SERVICE_URL:"},
		"a gateway to somewhere": {apart("SERVICES=gateway", "AUTH_SERVICE_URL=http://a:1", "ASSET_SERVICE_URL=http://b:1", "CHAT_SERVICE_URL=c:1"), "CHAT_SERVICE_URL:"},
	} {
		_, err := loadConfig("none", c.environment)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", about, err, c.want)
		}
	}
}

func TestNamesAndPortsOfServices(t *testing.T) {
	t.Parallel()
	for services, want := range map[string]struct {
		name string
		port int
	}{
		"": {"gateway", 8666}, "gateway,chat": {"gateway", 8666}, "auth": {"auth", 8001}, "asset": {"asset", 8002}, "chat": {"chat", 8003}, "chat,asset": {"asset", 8002},
	} {
		c, err := loadConfig("none", apart("SERVICES="+services, "AUTH_SERVICE_URL=http://a:1", "ASSET_SERVICE_URL=http://b:1"))
		if err != nil || c.ServiceName != want.name || c.ServicePort != want.port {
			t.Errorf("%q: %s at %d (%v), want %v", services, c.ServiceName, c.ServicePort, err, want)
		}
	}
	c, err := loadConfig("none", apart("SERVICES=chat", "SERVICE_NAME=chat-service", "SERVICE_PORT=8000"))
	if err != nil || c.ServiceName != "chat-service" || c.ServicePort != 8000 || !slices.Equal(c.services(), []domain.Service{domain.ServiceChat}) {
		t.Errorf("%s at %d (%v)", c.ServiceName, c.ServicePort, err)
	}
}
