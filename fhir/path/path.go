// Package path compiles the part of FHIRPath that rule files, search
// parameters and patches use, and evaluates it on a wire.Tree.
package path

import (
	"gatehouse/fhir"
	"gatehouse/fhir/wire"
)

type Expr struct{}

type Item struct{ Node int }

func Compile(v fhir.Version, expr string) (*Expr, error) { return &Expr{}, nil }

func (e *Expr) Eval(t *wire.Tree, ctx int) ([]Item, error) { return nil, nil }
