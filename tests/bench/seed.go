package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
)

// How many personas there are while lists are read.
const (
	fewPersonas  = 200
	manyPersonas = 2000
)

// seed makes the personas from one number up to another and returns their ids.
func seed(ctx context.Context, c *client, from, to int) ([]string, error) {
	p := newProse(uint64(from))
	ids := make([]string, 0, to-from)
	for i := from; i < to; i++ {
		body, err := json.Marshal(p.persona(i))
		if err != nil {
			return nil, err
		}
		a, err := c.expect(ctx, request{method: http.MethodPost, path: listPath, body: body}, http.StatusOK)
		if err != nil {
			return nil, err
		}
		var made struct{ Persona struct{ ID string } }
		if err := json.Unmarshal(a.body, &made); err != nil || made.Persona.ID == "" {
			return nil, fmt.Errorf("no id in %.300s", a.body)
		}
		ids = append(ids, made.Persona.ID)
	}
	return ids, nil
}

// prose invents text in which, as in a language, few words are frequent, most are rare and no sentence comes twice. Lists of one
// sentence over and over would compress far better than real ones.
type prose struct {
	random *rand.Rand
	choose *rand.Zipf
	words  []string
}

func newProse(seed uint64) *prose {
	return newVocabulary(seed, 3000, 1.1, 3)
}

// newVocabulary makes prose of so many words. The greater s is, the more frequent are the frequent; the greater v, the more words are that.
func newVocabulary(seed uint64, words int, s, v float64) *prose {
	random := rand.New(rand.NewPCG(seed, 1))
	p := &prose{random: random, choose: rand.NewZipf(random, s, v, uint64(words-1)), words: make([]string, words)}
	consonants, vowels := strings.Fields("b br c ch d f g gr h l m n p pl r s st t th v w"), strings.Fields("a e i o u ai ea ou")
	for i := range p.words {
		for range 1 + random.IntN(1+min(i/20, 3)) { // frequent words are short
			p.words[i] += consonants[random.IntN(len(consonants))] + vowels[random.IntN(len(vowels))]
		}
	}
	return p
}

func (p *prose) word() string { return p.words[p.choose.Uint64()] }

func (p *prose) text(words int) string {
	var b strings.Builder
	for i := range words {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(p.word())
		if i%12 == 11 {
			b.WriteByte('.')
		}
	}
	return b.String()
}

func (p *prose) flags(n int) map[string]any {
	flags := make(map[string]any, n)
	for range n {
		flags[p.word()+"_"+p.word()] = true
	}
	return flags
}

// persona has the size of one that people write: a line of description, a system prompt of a good dozen sentences.
func (p *prose) persona(i int) map[string]any {
	return map[string]any{
		"name":               fmt.Sprintf("%s %d", p.word(), i),
		"description":        p.text(15 + p.random.IntN(10)),
		"system_prompt":      fmt.Sprintf("You are Persona %d. %s.", i, p.text(120+p.random.IntN(80))),
		"personality_traits": p.flags(6),
		"capabilities":       p.flags(6),
	}
}
