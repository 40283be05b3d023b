package main

import (
	"io"
	"strings"
	"unicode/utf8"
)

// table prints as Markdown that is easy to read in a terminal too. The first column is text, the others are figures.
type table struct {
	head []string
	rows [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) print(out io.Writer) error {
	width := make([]int, len(t.head))
	for _, row := range append([][]string{t.head}, t.rows...) {
		for i, cell := range row {
			width[i] = max(width[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	line(&b, t.head, width)
	for i, w := range width {
		if i == 0 {
			b.WriteString("|" + strings.Repeat("-", w+2))
		} else {
			b.WriteString("|" + strings.Repeat("-", w+1) + ":")
		}
	}
	b.WriteString("|\n")
	for _, row := range t.rows {
		line(&b, row, width)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func line(b *strings.Builder, cells []string, width []int) {
	for i, cell := range cells {
		space := strings.Repeat(" ", width[i]-utf8.RuneCountInString(cell))
		if i == 0 {
			b.WriteString("| " + cell + space)
		} else {
			b.WriteString(" | " + space + cell)
		}
	}
	b.WriteString(" |\n")
}
