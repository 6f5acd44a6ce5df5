package main

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/gateway"
)

// licenceTable has the SPDX id of the licence of each module of go.mod.
//
//go:embed licences.tsv
var licenceTable string

// build is what the binary was built from.
type build struct {
	Version  string       `json:"version"`
	Go       string       `json:"go"`
	Platform string       `json:"platform"`
	Revision string       `json:"revision"`
	Modified bool         `json:"modified"`
	FIPS     string       `json:"fips140"` // off, on or only, and the module's version
	Modules  []dependency `json:"modules"`
}

// dependency is one module that is linked in.
type dependency struct {
	Path    string `json:"path"`
	Version string `json:"version"`
	Sum     string `json:"sum"` // as in go.sum
	Licence string `json:"licence"`
}

func version() *cobra.Command {
	var asJSON, sbom bool
	c := &cobra.Command{
		Use:   "version",
		Short: "Print what this binary was built from",
		Long: `Prints the version, the Go that built it, the revision of the sources and whether Go's
FIPS 140-3 module is in use (GODEBUG=fips140=on or only). --json adds every module that is
linked in, with its licence; --sbom prints them as a CycloneDX 1.6 bill of materials.`,
		Example: "  gatehouse version\n  gatehouse version --sbom > gatehouse.cdx.json",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			b, err := built()
			switch {
			case err != nil:
				return err
			case asJSON:
				return indented(c.OutOrStdout(), b)
			case sbom:
				return indented(c.OutOrStdout(), b.cycloneDX())
			}
			revision := b.Revision
			if b.Modified {
				revision += " (modified)"
			}
			fmt.Fprintf(c.OutOrStdout(), "gatehouse %s %s %s %s, fips140 %s\n", b.Version, b.Go, b.Platform, revision, b.FIPS)
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print all of it as JSON")
	c.Flags().BoolVar(&sbom, "sbom", false, "print a CycloneDX bill of materials")
	c.MarkFlagsMutuallyExclusive("json", "sbom")
	return c
}

func built() (*build, error) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil, fmt.Errorf("this binary was built without module support")
	}
	set := map[string]string{"vcs.revision": "unknown revision"}
	for _, s := range info.Settings {
		set[s.Key] = s.Value
	}
	b := &build{Version: info.Main.Version, Go: info.GoVersion, Platform: set["GOOS"] + "/" + set["GOARCH"],
		Revision: set["vcs.revision"], Modified: set["vcs.modified"] == "true", FIPS: gateway.FIPS()}
	known := licences()
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		b.Modules = append(b.Modules, dependency{m.Path, m.Version, m.Sum, known[m.Path]})
	}
	return b, nil
}

func licences() map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(licenceTable) {
		path, id, _ := strings.Cut(strings.TrimSpace(line), "\t")
		all[path] = id
	}
	return all
}

func indented(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// The few words of CycloneDX 1.6 that a list of Go modules needs.
type (
	cdx struct {
		Format     string         `json:"bomFormat"`
		Spec       string         `json:"specVersion"`
		Version    int            `json:"version"`
		Metadata   cdxMetadata    `json:"metadata"`
		Components []cdxComponent `json:"components"`
	}
	cdxMetadata struct {
		Component cdxComponent `json:"component"`
	}
	cdxComponent struct {
		Type       string        `json:"type"`
		Ref        string        `json:"bom-ref"`
		Name       string        `json:"name"`
		Version    string        `json:"version"`
		URL        string        `json:"purl"`
		Licences   []cdxLicence  `json:"licenses,omitempty"`
		Properties []cdxProperty `json:"properties,omitempty"`
	}
	cdxLicence struct {
		Licence struct {
			ID string `json:"id"`
		} `json:"license"`
	}
	cdxProperty struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
)

func (b *build) cycloneDX() *cdx {
	self := component("application", "gatehouse", b.Version, "Apache-2.0")
	self.Properties = []cdxProperty{{"gatehouse:revision", b.Revision}}
	bom := &cdx{Format: "CycloneDX", Spec: "1.6", Version: 1, Metadata: cdxMetadata{self}}
	bom.Components = append(bom.Components, component("library", "std", strings.TrimPrefix(b.Go, "go"), "BSD-3-Clause"))
	for _, m := range b.Modules {
		c := component("library", m.Path, m.Version, m.Licence)
		c.Properties = []cdxProperty{{"go.sum", m.Sum}}
		bom.Components = append(bom.Components, c)
	}
	return bom
}

func component(kind, name, version, licence string) cdxComponent {
	url := "pkg:golang/" + name + "@" + version
	c := cdxComponent{Type: kind, Ref: url, Name: name, Version: version, URL: url}
	if licence != "" {
		c.Licences = make([]cdxLicence, 1)
		c.Licences[0].Licence.ID = licence
	}
	return c
}
