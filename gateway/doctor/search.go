package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"gatehouse/gateway/upstream"
)

// capability is what is read of a CapabilityStatement.
type capability struct {
	FHIRVersion string `json:"fhirVersion"`
	Software    struct{ Name, Version string }
	Rest        []struct {
		Mode     string
		Resource []struct{ Type, Versioning string }
	}
}

// bundle is what is read of a searchset.
type bundle struct {
	Total *int
	Link  []struct{ Relation, URL string }
	Entry []struct {
		Resource struct{ ResourceType, ID string }
		Search   struct{ Mode string }
	}
}

// rows are the matches of a type, not an OperationOutcome beside them.
func (b *bundle) rows(typ string) (ids []string) {
	for _, e := range b.Entry {
		if e.Resource.ResourceType == typ {
			ids = append(ids, e.Resource.ID)
		}
	}
	return ids
}

const mostRead = 8 << 20

// get reads JSON below the base; other statuses than 200 leave v as it is.
func (x *examination) get(ctx context.Context, purpose, target string, v any) (upstream.Head, error) {
	a, err := x.up.Own(ctx, purpose, upstream.Request{Method: http.MethodGet, Target: target})
	if err != nil {
		return upstream.Head{}, err
	}
	defer a.Body.Close()
	if a.Status != http.StatusOK {
		return a.Head, nil
	}
	if err := json.NewDecoder(io.LimitReader(a.Body, mostRead)).Decode(v); err != nil {
		return a.Head, fmt.Errorf("the answer to GET %s is not the JSON of FHIR", strings.SplitN(target, "?", 2)[0])
	}
	return a.Head, nil
}

func (x *examination) capabilities(ctx context.Context) (*capability, error) {
	c := new(capability)
	head, err := x.get(ctx, upstream.Metadata, "metadata", c)
	if err == nil && head.Status != http.StatusOK {
		err = fmt.Errorf("answers %d to GET metadata", head.Status)
	}
	return c, err
}

func (x *examination) describe(c *capability) {
	name := strings.TrimSpace(c.Software.Name + " " + c.Software.Version)
	if name == "" {
		name = "an unnamed server"
	}
	x.tell("capabilities", Good, "", "%s, FHIR %s", name, c.FHIRVersion)
	release := map[string]string{"3": "STU3", "4.0": "R4", "4.3": "R4B", "5": "R5"}
	for prefix, r := range release {
		if want := x.cfg.Upstream.FHIRVersion; strings.HasPrefix(c.FHIRVersion, prefix) && want != "" && want != r {
			x.tell("capabilities", Problem, "upstream.fhir_version: "+r, "the configuration says %s", want)
		}
	}
}

// someRows finds a type of which the server has resources.
func (x *examination) someRows(ctx context.Context) (typ string, ids []string) {
	for _, typ := range []string{"Observation", "Condition", "Encounter", "Patient", "Organization"} {
		var b bundle
		if _, err := x.get(ctx, upstream.Probe, typ+"?_count=20", &b); err == nil && len(b.rows(typ)) > 0 {
			return typ, b.rows(typ)
		}
	}
	return "", nil
}

// searches tries criteria that nothing meets: who brings rows all the same has
// dropped them without a word (P-12).
func (x *examination) searches(ctx context.Context, typ string) {
	const nobody = "gatehouse-has-none"
	tried := []string{"_id=" + nobody, "_security=urn:gatehouse:none|none", "_lastUpdated=gt2999-01-01"}
	switch typ {
	case "Patient":
		tried = append(tried, "identifier=urn:gatehouse:none|none", "general-practitioner=Practitioner/"+nobody)
	case "Observation", "Condition", "Encounter":
		tried = append(tried, "patient=Patient/"+nobody, "subject=Patient/"+nobody)
	}
	for _, criterion := range tried {
		x.search(ctx, typ, criterion)
	}
	var b bundle
	head, err := x.get(ctx, upstream.Probe, typ+"?gatehouse-unknown=1&_count=1", &b)
	switch {
	case err != nil:
		x.tell("search", Problem, "", "an unknown parameter: %v", err)
	case head.Status == http.StatusOK:
		x.tell("search", Note, "", "an unknown parameter is dropped without a word, though told handling=strict; the gateway refuses those itself")
	default:
		x.tell("search", Good, "", "an unknown parameter is refused (%d)", head.Status)
	}
}

func (x *examination) search(ctx context.Context, typ, criterion string) {
	name, value, _ := strings.Cut(criterion, "=")
	var b bundle
	head, err := x.get(ctx, upstream.Probe, typ+"?"+name+"="+url.QueryEscape(value)+"&_count=1", &b)
	switch {
	case err != nil:
		x.tell("search", Problem, "", "%s?%s: %v", typ, name, err)
	case head.Status != http.StatusOK:
		x.tell("search", Note, "", "%s?%s is refused (%d), so searches narrowed by it fail", typ, name, head.Status)
	case len(b.rows(typ)) > 0 || b.Total != nil && *b.Total > 0:
		x.tell("search", Problem, "", "%s?%s is ignored: what may not be seen is withheld all the same, but pages are thin and totals left out", typ, name)
	default:
		x.tell("search", Good, "", "%s?%s is honoured", typ, name)
	}
}

// paging looks at the link to a second page.
func (x *examination) paging(ctx context.Context, typ string, rows []string) {
	var b bundle
	if _, err := x.get(ctx, upstream.Probe, typ+"?_count=1", &b); err != nil {
		x.tell("paging", Problem, "", "%v", err)
		return
	}
	if n := len(b.rows(typ)); n > 1 {
		x.tell("paging", Note, "", "_count=1 brings %d rows", n)
	}
	next := ""
	for _, l := range b.Link {
		if l.Relation == "next" {
			next = l.URL
		}
	}
	u, err := url.Parse(next)
	switch {
	case next == "" && len(rows) > 1:
		x.tell("paging", Problem, "", "there are more rows and no link to them, so what does not fit a page is never seen")
	case next == "":
		x.tell("paging", Note, "", "there are too few rows of %s to see a page link", typ)
	case err != nil:
		x.tell("paging", Problem, "", "the page link is no URL")
	case u.Host == "":
		x.tell("paging", Good, "", "page links are relative, with %s", parameters(u))
	case !x.ours(u):
		x.tell("paging", Problem, "upstream.aliases: ["+u.Scheme+"://"+u.Host+x.cfg.Upstream.Parsed.Path+"]", "page links go to another host, where the gateway does not follow")
	default:
		x.tell("paging", Good, "", "page links are absolute, with %s", parameters(u))
	}
}

// ours tells whether a link is below one of the names of the server.
func (x *examination) ours(u *url.URL) bool {
	return slices.ContainsFunc(append([]*url.URL{x.cfg.Upstream.Parsed}, x.cfg.Upstream.ParsedAliases...), func(base *url.URL) bool {
		return strings.EqualFold(u.Host, base.Host) && strings.EqualFold(u.Scheme, base.Scheme) && strings.HasPrefix(u.Path, base.Path)
	})
}

// parameters names those of a link, and no value.
func parameters(u *url.URL) string {
	var names []string
	for name := range u.Query() {
		names = append(names, name)
	}
	if len(names) == 0 {
		return "no parameters"
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// ids looks at the form of ids: a pseudonym must fit 64 characters.
func (x *examination) ids(rows []string) {
	longest := 0
	for _, id := range rows {
		longest = max(longest, len(id))
	}
	switch {
	case longest > 64:
		x.tell("ids", Problem, "", "ids of %d characters: FHIR allows 64, and the gateway refuses longer ones", longest)
	case longest > 40:
		x.tell("ids", Note, "", "ids of up to %d characters: their pseudonyms are kept in the store of this process and not computed", longest)
	default:
		x.tell("ids", Good, "", "ids of up to %d characters", longest)
	}
}

// versions tells whether a write can be pinned to the version that was judged.
func (x *examination) versions(ctx context.Context, c *capability, typ string, rows []string) {
	var one struct{}
	head, err := x.get(ctx, upstream.Probe, typ+"/"+rows[0], &one)
	if err != nil || head.Status != http.StatusOK {
		x.tell("versions", Problem, "", "a resource of its own list cannot be read (%d)", head.Status)
		return
	}
	if head.ETag == "" {
		x.tell("versions", Problem, "", "reads have no ETag: writes are refused, unless insecure_unpinned_writes gives that up")
		return
	}
	for _, r := range c.Rest {
		for _, t := range r.Resource {
			if t.Type == typ && t.Versioning == "versioned-update" {
				x.tell("versions", Good, "", "reads have an ETag, and If-Match is said to be honoured")
				return
			}
		}
	}
	x.tell("versions", Note, "", "reads have an ETag; the server does not say (rest.resource.versioning) that If-Match is honoured, which nothing but a write could show")
}
