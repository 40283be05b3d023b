package api_test

import (
	"strings"
	"testing"
)

// sound is a small document that keeps every rule. Each entry of breaks spoils it in one way that one rule must find.
const sound = `
openapi: 3.0.3
info: {title: Tiny, version: '1'}
security: [{BearerAuth: []}, {ApiKeyAuth: []}]
tags: [{name: Things, description: Things.}]
paths:
  /livez:
    get:
      operationId: getLivez
      tags: [Things]
      summary: Whether it lives
      description: It does.
      x-gaia-source: extension
      x-gaia-scope: public
      x-gaia-service: each
      security: []
      responses:
        '200':
          description: It lives.
          content: {application/json: {schema: {$ref: '#/components/schemas/Thing'}, example: {kind: stone, weight: 1}}}
        '500': {$ref: '#/components/responses/InternalError'}
        '503': {$ref: '#/components/responses/ServiceUnavailable'}
  /things/{id}:
    put:
      operationId: putThing
      tags: [Things]
      summary: Put a thing
      description: Puts it somewhere.
      x-gaia-source: captured
      x-gaia-scope: chat:write
      x-gaia-service: chat
      parameters:
        - {name: id, in: path, required: true, schema: {type: string, maxLength: 64}}
      requestBody:
        content:
          application/json:
            schema: {$ref: '#/components/schemas/Place'}
            example: {room: hall, labels: [old], traits: {}}
      responses:
        '200':
          description: One event for each thing.
          content: {text/event-stream: {schema: {$ref: '#/components/schemas/Item'}, example: {kind: plant, leaves: 3}}}
        '401': {$ref: '#/components/responses/Unauthorized'}
        '403': {$ref: '#/components/responses/Forbidden'}
        '404': {$ref: '#/components/responses/NotFound'}
        '413': {$ref: '#/components/responses/PayloadTooLarge'}
        '415': {$ref: '#/components/responses/UnsupportedMediaType'}
        '422': {$ref: '#/components/responses/UnprocessableEntity'}
        '429': {$ref: '#/components/responses/TooManyRequests'}
        '500': {$ref: '#/components/responses/InternalError'}
        '503': {$ref: '#/components/responses/ServiceUnavailable'}
components:
  securitySchemes:
    BearerAuth: {type: http, scheme: bearer}
    ApiKeyAuth: {type: apiKey, in: header, name: X-API-Key}
  responses:
    Unauthorized: &error
      description: It failed.
      content: {application/json: {schema: {$ref: '#/components/schemas/Error'}, example: {detail: no}}}
    Forbidden: *error
    NotFound: *error
    PayloadTooLarge: *error
    UnsupportedMediaType: *error
    UnprocessableEntity: *error
    TooManyRequests: *error
    InternalError: *error
    ServiceUnavailable: *error
  schemas:
    Error: {type: object, required: [detail], properties: {detail: {type: string}}}
    PersonaTraits: {type: object, additionalProperties: true}
    Place:
      type: object
      properties:
        room: {type: string, maxLength: 64}
        labels: {type: array, maxItems: 5, items: {$ref: '#/components/schemas/Label'}}
        traits: {$ref: '#/components/schemas/PersonaTraits'}
        size: {$ref: '#/components/schemas/Size'}
    Label: {type: string, enum: [old, new]}
    Metres: {type: number}
    Size: {oneOf: [{$ref: '#/components/schemas/Metres'}, {$ref: '#/components/schemas/Label'}]}
    Thing:
      type: object
      required: [kind, weight]
      properties: {kind: {type: string, enum: [stone]}, weight: {type: integer}}
    Plant:
      type: object
      required: [kind, leaves]
      properties: {kind: {type: string, enum: [plant]}, leaves: {type: integer}}
    Item:
      oneOf: [{$ref: '#/components/schemas/Thing'}, {$ref: '#/components/schemas/Plant'}]
      discriminator:
        propertyName: kind
        mapping: {stone: '#/components/schemas/Thing', plant: '#/components/schemas/Plant'}
`

var soundTable = []row{
	{"GET", "/livez", "getLivez", "extension"},
	{"PUT", "/things/{id}", "putThing", "captured"},
}

// edit replaces the first place of old.
type edit struct{ old, new string }

var breaks = map[string][]edit{
	"version":     {{"openapi: 3.0.3", "openapi: 3.1.0"}},
	"own address": {{"openapi: 3.0.3", "openapi: 3.0.3\nservers: [{url: 'http://localhost:1'}]"}},
	"valid": {
		{"example: {kind: stone, weight: 1}", "example: {kind: stone, weight: heavy}"},
		{"info: {title: Tiny, version: '1'}", "info: {title: Tiny}"},
	},
	"security": {
		{"scheme: bearer", "scheme: basic"},
		{"name: X-API-Key", "name: Key"},
		{"[{BearerAuth: []}, {ApiKeyAuth: []}]", "[{BearerAuth: [], ApiKeyAuth: []}]"},
		{"[{BearerAuth: []}, {ApiKeyAuth: []}]", "[{BearerAuth: []}]"},
	},
	"operation table": {
		{"  /things/{id}:", "  /stuff/{id}:"},
		{"operationId: putThing", "operationId: setThing"},
		{"x-gaia-source: captured", "x-gaia-source: declared"},
		{"    put:", "    post:"},
	},
	"unique ids":   {{"operationId: putThing", "operationId: getLivez"}, {"      operationId: putThing\n", ""}},
	"one tag":      {{"tags: [Things]", "tags: [Stuff]"}, {"tags: [Things]", "tags: [Things, Things]"}, {"tags: [{", "tags: [{name: Idle}, {"}},
	"prose":        {{"      summary: Put a thing\n", ""}, {"description: Puts it somewhere.", "description: ' '"}},
	"source":       {{"x-gaia-source: captured", "x-gaia-source: seen"}, {"      x-gaia-source: captured\n", ""}},
	"scope":        {{"x-gaia-scope: chat:write", "x-gaia-scope: chat:shout"}, {"      x-gaia-scope: chat:write\n", ""}},
	"service":      {{"x-gaia-service: chat", "x-gaia-service: chats"}, {"      x-gaia-service: chat\n", ""}},
	"public scope": {{"x-gaia-scope: chat:write", "x-gaia-scope: public"}, {"      security: []\n", ""}},
	"no default":   {{"        '200':\n          description: It lives", "        default: {$ref: '#/components/responses/NotFound'}\n        '200':\n          description: It lives"}},
	"common statuses": {
		{"        '429': {$ref: '#/components/responses/TooManyRequests'}\n", ""},
		{"        '500': {$ref: '#/components/responses/InternalError'}\n", ""},
		{"        '503': {$ref: '#/components/responses/ServiceUnavailable'}\n", ""},
		{"  /livez:", "  /alive:"},
	},
	"caller statuses": {
		{"        '401': {$ref: '#/components/responses/Unauthorized'}\n", ""},
		{"        '403': {$ref: '#/components/responses/Forbidden'}\n", ""},
	},
	"body statuses": {
		{"        '413': {$ref: '#/components/responses/PayloadTooLarge'}\n", ""},
		{"        '415': {$ref: '#/components/responses/UnsupportedMediaType'}\n", ""},
		{"        '422': {$ref: '#/components/responses/UnprocessableEntity'}\n", ""},
	},
	"parameter statuses": {
		{"        '404': {$ref: '#/components/responses/NotFound'}\n", ""},
		{"      security: []\n", "      security: []\n      parameters: [{name: n, in: query, schema: {type: integer}}]\n"},
	},
	"named errors": {
		{"'401': {$ref: '#/components/responses/Unauthorized'}", "'401': {$ref: '#/components/responses/Forbidden'}"},
		{"'401': {$ref: '#/components/responses/Unauthorized'}", "'401': {description: No.}"},
		{"  /things/{id}:", "  /api/v1/models/{model}:"},
	},
	"named bodies": {
		{"schema: {$ref: '#/components/schemas/Thing'}", "schema: {type: object}"},
		{"            schema: {$ref: '#/components/schemas/Place'}\n", ""},
		{"content: {application/json: {schema: {$ref: '#/components/schemas/Error'}", "content: {application/json: {schema: {type: object}"},
	},
	"examples": {
		{"            example: {room: hall, labels: [old], traits: {}}\n", ""},
		{", example: {kind: stone, weight: 1}", ""},
		{", example: {kind: plant, leaves: 3}", ""},
		{", example: {detail: no}", ""},
	},
	"typed":      {{"weight: {type: integer}", "weight: {}"}, {"properties: {detail: {type: string}}", "properties: {detail: {minLength: 1}}"}},
	"properties": {{", properties: {detail: {type: string}}", ""}, {"Error: {type: object, ", "Error: {"}},
	"free form": {
		{"room: {type: string, maxLength: 64}", "room: {type: object, additionalProperties: true}"},
		{"PersonaTraits: {", "Thing2: {type: object, additionalProperties: {}}\n    PersonaTraits: {"},
	},
	"required keys":    {{"required: [detail]", "required: [detail, code]"}},
	"answers require":  {{"required: [detail], ", ""}},
	"variants by name": {{"Size: {oneOf: [{$ref: '#/components/schemas/Metres'}", "Size: {oneOf: [{type: number}"}, {"Size: {oneOf", "Size: {anyOf"}},
	"variants differ": {
		{"Metres: {type: number}", "Metres: {type: string}"},
		{"enum: [plant]", "enum: [stone]"},
		{"required: [kind, leaves]", "required: [leaves]"},
		{"mapping: {stone: '#/components/schemas/Thing', plant", "mapping: {plant"},
		{"      discriminator:\n        propertyName: kind\n        mapping: {stone: '#/components/schemas/Thing', plant: '#/components/schemas/Plant'}\n", ""},
	},
	"bounded strings": {
		{"room: {type: string, maxLength: 64}", "room: {type: string}"},
		{"schema: {type: string, maxLength: 64}", "schema: {type: string}"},
		{"Label: {type: string, enum: [old, new]}", "Label: {type: string}"},
	},
	"bounded lists": {{"type: array, maxItems: 5", "type: array"}},
	"generated names": {
		{"PersonaTraits: {", "PutThingRequest: {type: string}\n    PersonaTraits: {"},
		{"PersonaTraits: {", "Client: {type: string}\n    PersonaTraits: {"},
		{"PersonaTraits: {", "label: {type: string}\n    PersonaTraits: {"},
		{"PersonaTraits: {", "NotFound: {type: string}\n    PersonaTraits: {"},
	},
	"no unused": {
		{"PersonaTraits: {", "Idle: {type: string}\n    PersonaTraits: {"},
		{"    Unauthorized:", "    Idle: {description: Idle.}\n    Unauthorized:"},
		{"  schemas:\n", "  examples: {Idle: {value: 1}}\n  schemas:\n"},
		{"  schemas:\n", "  headers: {Idle: {schema: {type: string}}}\n  schemas:\n"},
	},
}

func TestSoundDocumentKeepsEveryRule(t *testing.T) {
	t.Parallel()
	doc := load(t, sound)
	for _, r := range rules(soundTable) {
		for _, finding := range r.check(doc) {
			t.Errorf("%s: %s", r.name, finding)
		}
	}
}

func TestEveryRuleFindsWhatBreaksIt(t *testing.T) {
	t.Parallel()
	for _, r := range rules(soundTable) {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			if len(breaks[r.name]) == 0 {
				t.Fatal("nothing shows that this rule can fail")
			}
			for _, e := range breaks[r.name] {
				if !strings.Contains(sound, e.old) {
					t.Fatalf("%q is not in the document", e.old)
				}
				if len(r.check(load(t, strings.Replace(sound, e.old, e.new, 1)))) == 0 {
					t.Errorf("no finding when %q becomes %q", e.old, e.new)
				}
			}
		})
	}
}
