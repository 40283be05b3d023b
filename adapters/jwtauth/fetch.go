package jwtauth

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	maxJWKSBytes   = 512 << 10
	maxHeaderBytes = 64 << 10
)

// newHTTPClient makes a client that goes where it is sent and nowhere else.
func newHTTPClient(limit time.Duration) *http.Client {
	return &http.Client{
		Timeout: limit,
		Transport: &http.Transport{
			Proxy:       http.ProxyFromEnvironment,
			DialContext: (&net.Dialer{Timeout: limit}).DialContext, TLSHandshakeTimeout: limit,
			MaxResponseHeaderBytes: maxHeaderBytes, MaxIdleConns: 1, IdleConnTimeout: limit, ForceAttemptHTTP2: true, DisableCompression: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // whoever can redirect could choose the keys
		},
	}
}

// fetch gets the JWKS, and tells for how long it is good.
func (k *keyring) fetch() (keys map[string]*publicKey, leftOut []error, good time.Duration, err error) {
	ctx, cancel := context.WithTimeout(k.ctx, k.timing.Fetch)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, nil)
	if err != nil {
		return nil, nil, 0, errors.New("the address can't be used")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "gaia")
	resp, err := k.client.Do(req)
	if err != nil {
		return nil, nil, 0, withoutURL(err)
	}
	defer func() { _ = resp.Body.Close() }() // what was wanted of it has been read
	if resp.StatusCode != http.StatusOK {
		return nil, nil, 0, fmt.Errorf("status %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxJWKSBytes+1))
	if err != nil {
		return nil, nil, 0, err
	}
	if len(body) > maxJWKSBytes {
		return nil, nil, 0, fmt.Errorf("more than %d bytes", maxJWKSBytes)
	}
	keys, leftOut, err = parseKeys(body)
	return keys, leftOut, freshness(resp.Header, k.timing.Default), err
}

// withoutURL is an error of the client for the log: an address may hold a password or a token.
func withoutURL(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}

// freshness is how long an answer is good from now on, by its max-age and the time that it has spent in caches already.
func freshness(h http.Header, without time.Duration) time.Duration {
	const century = 100 * 365 * 24 * 60 * 60 // in seconds; more than that overflows a Duration sooner or later
	good, known := 0, false
	for directive := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch strings.ToLower(name) {
		case "no-store", "no-cache":
			return 0
		case "max-age":
			n, err := strconv.Atoi(strings.Trim(value, `"`))
			if err == nil && n >= 0 {
				good, known = min(n, century), true
			}
		}
	}
	if !known {
		return without
	}
	if age, err := strconv.Atoi(h.Get("Age")); err == nil && age > 0 {
		good -= min(age, good)
	}
	return time.Duration(good) * time.Second
}
