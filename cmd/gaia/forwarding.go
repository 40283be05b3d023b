package main

import (
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"time"

	"gaia/adapters/httpapi"
	"gaia/adapters/internalauth"
	"gaia/app"
	"gaia/domain"
)

// startForwarding hands requests on to services that other processes serve.
func (s *system) startForwarding(c config, p parts, api *httpapi.Config, _ *slog.Logger) error {
	signer, err := internalauth.NewSigner(c.InternalSecret, time.Now)
	if err != nil {
		return err
	}
	urls := c.serviceURLs()
	api.ForwardTimeout, api.ForwardLong, api.SignedOut = c.GatewayTimeout.duration(), c.GatewayLong.duration(), s.forget
	api.KeysChanged = func() { p.cache.Forget(app.SpaceAPIKey) }
	api.Forward = func(w http.ResponseWriter, r *http.Request, hop domain.Hop) (failed error) {
		target, _ := url.Parse(urls[hop.Service][0])
		signed, err := signer.Sign(hop.Caller, string(hop.Service))
		if err != nil {
			return err
		}
		proxy := httputil.ReverseProxy{
			Rewrite: func(p *httputil.ProxyRequest) {
				p.SetURL(target)
				for _, name := range []string{"X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
					p.Out.Header[name] = p.In.Header[name]
				}
				p.Out.Header.Set(domain.ForwardedHeader, signed)
			},
			ModifyResponse: func(resp *http.Response) error {
				for name := range resp.Header {
					if name != "Vary" {
						w.Header().Del(name)
					}
				}
				return nil
			},
			ErrorHandler: func(_ http.ResponseWriter, _ *http.Request, err error) {
				failed = domain.MissingPart("Service "+string(hop.Service)+" unavailable", err)
			},
			FlushInterval: -1,
		}
		proxy.ServeHTTP(w, r)
		return failed
	}
	return nil
}
