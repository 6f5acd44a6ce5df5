package demo

import "fmt"

// person is a name as its owner writes it.
type person struct {
	family string
	given  []string
	gender string
	lang   string
}

func (p person) text() string {
	if p.lang == "zh" {
		return p.family + p.given[0]
	}
	return p.given[0] + " " + p.family
}

var people = []person{
	{"Müller", []string{"Jürgen", "Karl-Heinz"}, "male", "de"},
	{"Yıldız", []string{"Ayşe"}, "female", "tr"},
	{"王", []string{"小明"}, "male", "zh"},
	{"Weiß", []string{"Änne"}, "female", "de"},
	{"Öztürk", []string{"İbrahim"}, "male", "tr"},
	{"O'Brien", []string{"Siobhán", "Mary"}, "female", "en"},
	{"欧阳", []string{"娜娜"}, "female", "zh"},
	{"von und zu Groß-Eßlingen", []string{"Maximilian"}, "male", "de"},
	{"Şahin", []string{"Çağla"}, "female", "tr"},
	{"Nguyễn", []string{"Thị Minh"}, "female", "vi"},
	{"Schmidt", []string{"Käthe"}, "female", "de"},
	{"García Márquez", []string{"Jose\u0301"}, "other", "es"}, // a combining accent: not the bytes of é
	{"Łukasiewicz", []string{"Zbigniew"}, "male", "pl"},
	{"Kovač", []string{"Željka"}, "unknown", "hr"},
	{"𠮷田", []string{"太郎"}, "male", "ja"}, // beyond the basic plane
	{"Al-Sayyid", []string{"Fāṭimah"}, "female", "ar"},
	{"Jensen \"Bob\"", []string{"Bjørn"}, "male", "da"},
}

// practitioner ids are dr-1 … dr-12; every third works on the same ward.
const practitioners = 12

func attending(ward string, n int) string {
	for i, w := range wards {
		if w == ward {
			return fmt.Sprintf("dr-%d", 1+(i+len(wards)*(n/len(wards)%(practitioners/len(wards))))%practitioners)
		}
	}
	return "dr-1"
}

// hospital makes what is there before any patient.
func hospital() (all [][]byte) {
	add := func(o object) { all = append(all, encode(o)) }
	add(organization("hospital", "Klinikum St. Elisabeth", "", "prov"))
	add(organization(internal, "Station 3: Innere Medizin", "hospital", "dept"))
	add(organization(psychiatry, "Station 5: Psychiatrie", "hospital", "dept"))
	add(organization(infections, "Station 7: Infektiologie 感染科", "hospital", "dept"))
	add(organization("payer", "AOK Musterland", "", "pay"))
	for _, w := range wards {
		add(object{"resourceType", "Location", "id", w, "status", "active", "name", "Haus A, " + w, "mode", "instance",
			"physicalType", concept(terminology+"location-physical-type", "wa", "Ward"), "managingOrganization", ref("Organization", w)})
	}
	for i := 1; i <= practitioners; i++ {
		id := fmt.Sprintf("dr-%d", i)
		who := people[(i*5)%len(people)]
		add(object{"resourceType", "Practitioner", "id", id, "active", true,
			"identifier", list{object{"system", "https://fhir.kbv.de/NamingSystem/KBV_NS_Base_ANR", "value", fmt.Sprintf("%09d", 838_382_000+i)}},
			"name", list{humanName(who, "official")}, "gender", who.gender,
			"qualification", list{object{"code", concept(terminology+"v2-0360", "MD", "Doctor of Medicine")}}})
		add(object{"resourceType", "PractitionerRole", "id", id + "-role", "active", true, "practitioner", ref("Practitioner", id),
			"organization", ref("Organization", wards[(i-1)%len(wards)]), "location", list{ref("Location", wards[(i-1)%len(wards)])}})
	}
	add(object{"resourceType", "Medication", "id", "metformin", "code", concept(rxnorm, "860975", "metformin hydrochloride 500 MG")})
	return all
}

func organization(id, name, parent, kind string) object {
	var partOf any
	if parent != "" {
		partOf = ref("Organization", parent)
	}
	return object{"resourceType", "Organization", "id", id, "active", true, "type", list{concept(terminology+"organization-type", kind, kind)},
		"name", name, "partOf", partOf}
}

func humanName(p person, use string) object {
	var given list
	for _, g := range p.given {
		given = append(given, g)
	}
	return object{"use", use, "text", p.text(), "family", p.family, "given", given}
}
