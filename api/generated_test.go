package api_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"gaia/api"
	"gaia/api/client"
)

// The generator leaves an operation out silently when it does not understand its content types.
func TestClientHasEveryOperation(t *testing.T) {
	t.Parallel()
	methods := methodNames(reflect.TypeFor[client.ClientInterface]())
	parsing := methodNames(reflect.TypeFor[client.ClientWithResponsesInterface]())
	for _, op := range operations(load(t, string(api.Spec))) {
		for _, method := range clientMethods(op) {
			if at := slices.Index(methods, method); at >= 0 {
				methods = slices.Delete(methods, at, at+1)
			} else {
				t.Errorf("%s: the client has no %s", op, method)
			}
			method += "WithResponse"
			if at := slices.Index(parsing, method); at >= 0 {
				parsing = slices.Delete(parsing, at, at+1)
			} else {
				t.Errorf("%s: the client has no %s", op, method)
			}
		}
	}
	if left := slices.Concat(methods, parsing); len(left) > 0 {
		t.Errorf("no operation of the contract needs %s: generate anew", strings.Join(left, ", "))
	}
}

// clientMethods: a JSON body gets a method that takes a value, and every body one that takes bytes.
func clientMethods(op operation) []string {
	name := goName(op.OperationID)
	if op.RequestBody == nil {
		return []string{name}
	}
	methods := []string{name + "WithBody"}
	if op.RequestBody.Value.Content.Get("application/json") != nil {
		methods = append(methods, name)
	}
	return methods
}

func methodNames(t reflect.Type) []string {
	names := make([]string, 0, t.NumMethod())
	for i := range t.NumMethod() {
		names = append(names, t.Method(i).Name)
	}
	return names
}
