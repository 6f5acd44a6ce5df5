package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
)

// definitions are the parts of the published definitions that the tables need.
type definitions struct {
	structures   []structure
	parameters   []parameter
	compartments []compartment
}

type structure struct {
	Name        string
	Kind        string
	FhirVersion string
	Abstract    bool
	Derivation  string
	Snapshot    struct{ Element []element }
}

type element struct {
	Path             string
	Min              int
	Max              string
	ContentReference string
	IsSummary        bool
	Base             struct{ Max string }
	Type             []struct {
		Code          string
		TargetProfile []string
		Extension     []struct{ URL, ValueURL string }
	}
}

type parameter struct {
	URL, Code, Type, Expression string
	Base, Target                []string
	Component                   []struct{ Definition, Expression string }
}

type compartment struct {
	Code         string
	Experimental bool
	Resource     []struct {
		Code  string
		Param []string
	}
}

// read adds the definitions of one file, a Bundle or a resource, in JSON or XML.
func (d *definitions) read(name string) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if strings.HasSuffix(name, ".xml") {
		if data, err = fromXML(bytes.NewReader(data)); err != nil {
			return err
		}
	}
	return d.add(data)
}

func (d *definitions) add(resource []byte) error {
	var head struct {
		ResourceType string
		Entry        []struct{ Resource json.RawMessage }
	}
	if err := json.Unmarshal(resource, &head); err != nil {
		return err
	}
	switch head.ResourceType {
	case "Bundle":
		for _, e := range head.Entry {
			if err := d.add(e.Resource); err != nil {
				return err
			}
		}
	case "StructureDefinition":
		return appendTo(&d.structures, resource)
	case "SearchParameter":
		return appendTo(&d.parameters, resource)
	case "CompartmentDefinition":
		return appendTo(&d.compartments, resource)
	}
	return nil
}

func appendTo[T any](list *[]T, raw []byte) error {
	var v T
	if err := json.Unmarshal(raw, &v); err != nil {
		return err
	}
	*list = append(*list, v)
	return nil
}
