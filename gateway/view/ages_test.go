package view

import (
	"fmt"
	"strings"
	"testing"
)

// an age above 89 is pooled in whatever unit it is told; what is no age is not.
func TestAgesInAllUnits(t *testing.T) {
	for _, use := range []string{"safe-harbor", "research"} {
		w := testView(t, use)
		for _, c := range []struct{ value, unit, want string }{
			{"95", `"code":"a"`, "90"}, {"95", `"code":"a_j"`, "90"}, {"95", `"code":"a_g"`, "90"}, {"95", `"code":"{years}"`, "90"}, {"95", `"code":"a{age}"`, "90"},
			{"95", `"unit":"Years"`, "90"}, {"95", `"unit":"yrs."`, "90"}, {"95", `"unit":"years old"`, "90"}, {"95", `"unit":"years of age"`, "90"}, {"95", `"unit":"Jahre"`, "90"}, {"95", `"unit":"años"`, "90"}, {"95", `"unit":"year(s)"`, "90"},
			{"1200", `"code":"mo_j"`, "1080"}, {"1200", `"unit":"Monate"`, "1080"}, {"35000", `"code":"d"`, "32872"}, {"5000", `"unit":"weeks"`, "4695"},
			{"89.9", `"code":"a"`, "89.9"}, {"95", `"code":"mg"`, "95"}, {"360", `"code":"J"`, "360"}, {"95", `"code":"A"`, "95"}, {"95", `"unit":"a.u."`, "95"}, {"120", `"code":"/min"`, "120"}, {"95", `"unit":"{score}"`, "95"}, {"120", `"code":"mm[Hg]"`, "120"},
		} {
			for _, place := range []string{`"valueQuantity":{%s}`, `"valueRange":{"low":{%s}}`, `"component":[{"code":{"coding":[{"system":"http://loinc.org","code":"1-8"}]},"valueQuantity":{%s}}]`} {
				doc := `{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"30525-0"}]},` +
					fmt.Sprintf(place, `"value":`+c.value+`,"system":"http://unitsofmeasure.org",`+c.unit) + `}`
				got, err := w.Apply(nil, []byte(doc), study)
				if err != nil || !strings.Contains(string(got), `"value":`+c.want+`,`) && !strings.Contains(string(got), `"value":`+c.want+`}`) {
					t.Errorf("%s: %s is shown as %s, %v", use, doc, got, err)
				}
			}
		}
	}
}
