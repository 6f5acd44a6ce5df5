package compat

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"
)

// number is a JSON number without exponent, which is all that the tools read.
var number = regexp.MustCompile(`^-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,40})?$`)

func rat(s string) (*big.Rat, bool) {
	if !number.MatchString(s) {
		return nil, false
	}
	return new(big.Rat).SetString(s)
}

var (
	numbers    = []string{"decimal", "integer", "positiveInt", "unsignedInt"}
	quantities = []string{"Quantity", "SimpleQuantity", "Age", "Count", "Distance", "Duration", "Money", "MoneyQuantity"}
)

// perturb adds noise to a number, or to the value of a quantity (D6).
func (r *run) perturb(n *node, m *method) (done, error) {
	at := n
	if slices.Contains(quantities, n.typ) {
		at = n.child("value")
	} else if !slices.Contains(numbers, n.typ) {
		return done{}, nil
	}
	if at == nil || at.raw == nil || at.visited {
		return done{}, nil
	}
	v, ok := rat(at.text())
	if !ok {
		return done{}, fmt.Errorf("%s is no plain number", at.typ)
	}
	noise, err := r.noise(m, v, at.text())
	if err != nil {
		return done{}, err
	}
	places := m.roundTo
	if at.typ != "decimal" {
		places = 0
	}
	at.raw = []byte(atLeast(at.typ, round(noise.Add(noise, v), places)))
	n.decide()
	return done{perturbed: true}, nil
}

// decide marks all below n as decided.
func (n *node) decide() {
	for _, k := range n.kids {
		k.visited = true
		k.decide()
	}
}

// noise is uniform in the span. It is drawn from a key, the resource and the
// value: asking again averages nothing out.
func (r *run) noise(m *method, v *big.Rat, text string) (*big.Rat, error) {
	r.noises++
	label := fmt.Sprintf("%s/%s %d %s", r.root.typ, r.origin, r.noises, text)
	var sum []byte
	if r.keys != nil {
		var err error
		if sum, err = r.keys.MAC(everyone, "perturb", label); err != nil {
			return nil, err
		}
	} else {
		h := hmac.New(sha256.New, r.Engine.noise)
		h.Write([]byte(label))
		sum = h.Sum(nil)
	}
	// From -1/2 to 1/2, in steps of 2^-64.
	u := new(big.Rat).SetFrac(new(big.Int).SetUint64(binary.BigEndian.Uint64(sum)), new(big.Int).Lsh(big.NewInt(1), 64))
	u.Sub(u, big.NewRat(1, 2))
	u.Mul(u, new(big.Rat).SetFloat64(m.span))
	if m.proportional {
		u.Mul(u, v)
	}
	return u, nil
}

// round writes v with so many places, halves to the even digit.
func round(v *big.Rat, places int) string {
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(places)), nil)
	scaled := new(big.Rat).Mul(v, new(big.Rat).SetInt(scale))
	q, rest := new(big.Int).DivMod(scaled.Num(), scaled.Denom(), new(big.Int))
	switch half := new(big.Int).Lsh(rest, 1).Cmp(scaled.Denom()); {
	case half > 0, half == 0 && q.Bit(0) == 1:
		q.Add(q, big.NewInt(1))
	}
	return new(big.Rat).SetFrac(q, scale).FloatString(places)
}

func atLeast(typ, v string) string {
	switch {
	case typ == "positiveInt" && (v == "0" || strings.HasPrefix(v, "-")):
		return "1"
	case typ == "unsignedInt" && strings.HasPrefix(v, "-"):
		return "0"
	}
	return v
}
