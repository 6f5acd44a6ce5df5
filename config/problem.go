package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing wrong with a configuration file.
type Problem struct {
	File         string // as it was given to Load
	Key          string // "issuers[0].audiences"; "" when the file as a whole is wrong
	Line, Column int    // from 1; 0 where there is no place to point at
	Text         string // what is wrong and what to write instead; never a secret
}

// String is "FILE:LINE: key: text".
func (p Problem) String() string {
	place := p.File
	if p.Line > 0 {
		place = fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	if p.Key == "" {
		return place + ": " + p.Text
	}
	return place + ": " + p.Key + ": " + p.Text
}

// Problems is everything wrong with a file, in the order of its lines.
type Problems []Problem

// String is one line for each problem.
func (ps Problems) String() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Err is nil when there is no problem, else an error that prints them all.
func (ps Problems) Err() error {
	if len(ps) == 0 {
		return nil
	}
	return errors.New(ps.String())
}

func (ps Problems) sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Key, b.Key))
	})
}
