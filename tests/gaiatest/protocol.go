package gaiatest

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/routers"
)

// outside lists the pages that no contract describes. /internal/* is none of them: it is answered at INTERNAL_ADDRESS alone, and here any
// answer but 404 is a fault.
var outside = []string{"/docs", "/redoc", "/openapi.json", "/metrics"}

// isProtocolAnswer reports whether an answer comes from HTTP itself rather than from an operation.
func isProtocolAnswer(req *http.Request, resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusTemporaryRedirect, http.StatusMethodNotAllowed, http.StatusRequestURITooLong, http.StatusRequestHeaderFieldsTooLarge:
		return true
	default:
		return req.Method == http.MethodOptions
	}
}

// checkProtocol judges the answers that the contract leaves to HTTP. Everything that is not listed here is a fault.
func (c *contract) checkProtocol(req *http.Request, resp *http.Response, body []byte, routeErr error) error {
	status := resp.StatusCode
	known := routeErr == nil || errors.Is(routeErr, routers.ErrMethodNotAllowed)
	switch {
	case req.Method == http.MethodOptions && req.Header.Get("Origin") != "":
		return checkPreflight(resp, body)
	case status == http.StatusTemporaryRedirect:
		if location := resp.Header.Get("Location"); !strings.HasPrefix(location, "http://") {
			return fmt.Errorf("location %q is not absolute", location)
		}
		return nil
	case status == http.StatusMethodNotAllowed:
		if resp.Header.Get("Allow") == "" {
			return errors.New("no Allow header")
		}
		return c.checkErrorBody(req, resp, body)
	case status == http.StatusRequestHeaderFieldsTooLarge && resp.Header.Get("Content-Type") != "application/json":
		return nil // the HTTP server itself answers, before anything of gaia runs
	case status == http.StatusRequestURITooLong, status == http.StatusRequestHeaderFieldsTooLarge:
		return c.checkErrorBody(req, resp, body)
	case isOutside(req.URL.Path) && status == http.StatusOK:
		return nil
	case !known && slices.Contains([]int{http.StatusNotFound, http.StatusUnprocessableEntity, http.StatusBadRequest}, status):
		return c.checkErrorBody(req, resp, body)
	default:
		return fmt.Errorf("the contract knows no such answer (%w): %.500s", errOf(routeErr), body)
	}
}

func errOf(err error) error {
	if err == nil {
		return errors.New("the operation is known")
	}
	return err
}

func isOutside(path string) bool {
	return slices.ContainsFunc(outside, func(page string) bool { return path == page || strings.HasPrefix(path, page+"/") })
}

func checkPreflight(resp *http.Response, body []byte) error {
	switch {
	case resp.StatusCode == http.StatusOK && string(body) == "OK",
		resp.StatusCode == http.StatusBadRequest && strings.HasPrefix(string(body), "Disallowed CORS "):
		return nil
	default:
		return fmt.Errorf("a preflight request gets 200 OK or 400 with a reason, not %.200q", body)
	}
}

func (c *contract) checkErrorBody(req *http.Request, resp *http.Response, body []byte) error {
	if err := checkEveryAnswer(resp); err != nil {
		return err
	}
	if req.Method == http.MethodHead {
		return nil
	}
	value, err := decode(body)
	if err != nil {
		return err
	}
	err = c.doc.Components.Schemas["Error"].Value.VisitJSON(value, openapi3.MultiErrors(), openapi3.VisitAsResponse())
	return errors.Join(err, checkError(resp, body))
}
