package intake

import (
	"regexp"
)

// kind says what a rule asks for.
type kind uint8

const (
	anyValue kind = iota
	object        // with known properties
	mapping       // with free keys
	array
	text
	integer
	number
	boolean
	union
)

// rule is a compiled schema.
type rule struct {
	kind     kind
	nullable bool

	// text
	enum      map[string]bool
	enumFault enumFault
	minLength int
	maxLength int // unlimited when negative
	pattern   *regexp.Regexp
	format    format

	// integer and number
	minimum, maximum           *float64
	exclusiveMin, exclusiveMax bool

	// array and mapping: the rule of the items or values, nil for any; limits of how many, unlimited when negative
	items  *rule
	least  int
	most   int
	unique bool

	// object, in the order in which faults are reported
	properties []property
	byName     map[string]int
	byFold     map[string]int // as encoding/json folds names

	// union
	branches []*rule
	tag      string           // the discriminating property, or empty
	byTag    map[string]*rule //
	tags     string           // how faults list them
}

type property struct {
	name     string
	required bool
	rule     *rule
}

// enumFault is what a wrong value of an enumeration is called.
type enumFault struct {
	kind     string
	expected string // 'a', 'b' or 'c'
}
