package gaiatest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"gaia/api"
)

// contract judges answers by the OpenAPI document.
type contract struct {
	doc     *openapi3.T
	lenient *openapi3.T // the document as it is: requests may hold keys that it does not name
	router  routers.Router
}

// eventChecker judges the data of one event.
type eventChecker func(data []byte) error

var theContract = sync.OnceValues(func() (*contract, error) {
	doc, err := openapi3.NewLoader().LoadFromData(api.Spec)
	lenient, err2 := openapi3.NewLoader().LoadFromData(api.Spec)
	if err := errors.Join(err, err2); err != nil {
		return nil, fmt.Errorf("load the contract: %w", err)
	}
	openapi3.DefineStringFormatValidator("uuid", openapi3.NewRegexpFormatValidator(openapi3.FormatOfStringForUUIDOfRFC9562))
	doc.Servers = nil // tests run on any port
	seen := map[*openapi3.Schema]bool{}
	for _, ref := range doc.Components.Schemas {
		forbidUnknownKeys(ref, seen)
	}
	router, err := gorillamux.NewRouter(doc)
	return &contract{doc, lenient, router}, err
})

// forbidUnknownKeys makes a key that the contract does not name a fault: clients may not find out about a field by chance.
func forbidUnknownKeys(ref *openapi3.SchemaRef, seen map[*openapi3.Schema]bool) {
	if ref == nil || ref.Value == nil || seen[ref.Value] {
		return
	}
	s := ref.Value
	seen[s] = true
	if len(s.Properties) > 0 && len(s.AllOf) == 0 && s.AdditionalProperties.Has == nil && s.AdditionalProperties.Schema == nil {
		s.AdditionalProperties.Has = new(bool)
	}
	for _, p := range s.Properties {
		forbidUnknownKeys(p, seen)
	}
	forbidUnknownKeys(s.Items, seen)
	forbidUnknownKeys(s.AdditionalProperties.Schema, seen)
	for _, part := range slices.Concat(s.AllOf, s.OneOf, s.AnyOf) {
		forbidUnknownKeys(part, seen)
	}
}

// find returns the route of a request. HEAD is answered like GET.
func (c *contract) find(req *http.Request) (*routers.Route, error) {
	r := req.Clone(req.Context())
	if r.Method == http.MethodHead {
		r.Method = http.MethodGet
	}
	route, _, err := c.router.FindRoute(r)
	return route, err
}

// check judges a whole answer.
func (c *contract) check(req *http.Request, resp *http.Response, body []byte) error {
	route, err := c.find(req)
	if err != nil || isProtocolAnswer(req, resp) {
		seen.protocol(req.Method, resp.StatusCode)
		return c.checkProtocol(req, resp, body, err)
	}
	seen.operation(route.Operation.OperationID, resp.StatusCode)
	if err := checkEveryAnswer(resp); err != nil {
		return err
	}
	if route.Operation.Responses.Status(resp.StatusCode) == nil {
		return fmt.Errorf("the contract does not list this status; body %.500s", body)
	}
	if resp.StatusCode == http.StatusNotModified || req.Method == http.MethodHead {
		if len(body) > 0 {
			return fmt.Errorf("an answer without a body has one: %.500s", body)
		}
		return nil
	}
	err = c.validate(req, route, resp, body, false)
	if err == nil && resp.StatusCode >= 400 {
		err = checkError(resp, body)
	}
	return err
}

func (c *contract) validate(req *http.Request, route *routers.Route, resp *http.Response, body []byte, withoutBody bool) error {
	return openapi3filter.ValidateResponse(req.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: req, Route: route},
		Status:                 resp.StatusCode, Header: resp.Header, Body: io.NopCloser(bytes.NewReader(body)),
		Options: &openapi3filter.Options{
			IncludeResponseStatus: true, MultiError: true, ExcludeResponseBody: withoutBody,
			SchemaValidationOptions: []openapi3.SchemaValidationOption{openapi3.EnableFormatValidation()},
		},
	})
}

// checkStream judges the head of an event stream and returns what judges its events.
func (c *contract) checkStream(req *http.Request, resp *http.Response) (eventChecker, error) {
	accept := func([]byte) error { return nil }
	route, err := c.find(req)
	if err != nil {
		return accept, fmt.Errorf("an event stream outside the contract: %w", err)
	}
	seen.operation(route.Operation.OperationID, streamStatus)
	if resp.Uncompressed || resp.Header.Get("Content-Encoding") != "" {
		return accept, errors.New("an event stream must not be compressed")
	}
	response := route.Operation.Responses.Status(resp.StatusCode)
	if response == nil {
		return accept, errors.New("the contract does not list this status")
	}
	media := response.Value.Content.Get("text/event-stream")
	if media == nil || media.Schema == nil {
		return accept, errors.New("the contract lists no event stream")
	}
	check := func(data []byte) error {
		var v any
		if err := json.Unmarshal(data, &v); err != nil {
			return err
		}
		return media.Schema.Value.VisitJSON(v, openapi3.MultiErrors(), openapi3.VisitAsResponse(), openapi3.EnableFormatValidation())
	}
	return check, errors.Join(checkEveryAnswer(resp), c.validate(req, route, resp, nil, true))
}

// checkEveryAnswer judges what all answers of the contract have in common.
func checkEveryAnswer(resp *http.Response) error {
	if resp.Header.Get("X-Request-Id") == "" {
		return errors.New("no X-Request-ID")
	}
	return nil
}

// checkError judges what the schema of errors can't: that the body speaks about this very answer.
func checkError(resp *http.Response, body []byte) error {
	var e struct {
		StatusCode int    `json:"status_code"`
		RequestID  string `json:"request_id"`
	}
	if err := json.Unmarshal(body, &e); err != nil {
		return err
	}
	if e.StatusCode != resp.StatusCode || e.RequestID != resp.Header.Get("X-Request-Id") {
		return fmt.Errorf("the body is about another answer: %.500s, X-Request-ID %s", body, resp.Header.Get("X-Request-Id"))
	}
	for _, leak := range []string{"SQLSTATE", "goroutine ", ".go:", "pgx", "dial tcp", "runtime error"} {
		if strings.Contains(string(body), leak) {
			return fmt.Errorf("the error shows internals: %.500s", body)
		}
	}
	return nil
}

func decode(body []byte) (v any, err error) {
	err = json.Unmarshal(body, &v)
	return v, err
}
