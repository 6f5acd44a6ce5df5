// Prints STU3's SearchParameters as a Bundle, from the annotations of HAPI's
// STU3 models: the validation-resources artifact of that release has none.
//
//   java -cp org.hl7.fhir.dstu3-6.4.0.jar:org.hl7.fhir.utilities-6.4.0.jar:hapi-fhir-base-7.6.1.jar stu3/SearchParameters.java org.hl7.fhir.dstu3-6.4.0.jar

import ca.uhn.fhir.model.api.annotation.ResourceDef;
import ca.uhn.fhir.model.api.annotation.SearchParamDefinition;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.jar.JarFile;
import java.util.stream.Collectors;

public class SearchParameters {
    static final String MODEL = "org/hl7/fhir/dstu3/model/";
    static final List<String> entries = new ArrayList<>();

    public static void main(String[] args) throws Exception {
        Map<String, Class<?>> types = new TreeMap<>();
        try (JarFile jar = new JarFile(args[0])) {
            for (String name : (Iterable<String>) jar.stream().map(e -> e.getName())::iterator) {
                if (!name.startsWith(MODEL) || !name.endsWith(".class") || name.contains("$")) continue;
                Class<?> c = Class.forName(name.substring(0, name.length() - 6).replace('/', '.'), false, SearchParameters.class.getClassLoader());
                ResourceDef def = c.getAnnotation(ResourceDef.class);
                if (def != null && !def.name().isEmpty()) types.put(def.name(), c);
            }
        }
        // Those of every resource stand in no annotation; they are the rest.searchParam of CapabilityStatement/base.
        common("_id", "token", "Resource.id");
        common("_lastUpdated", "date", "Resource.meta.lastUpdated");
        common("_profile", "uri", "Resource.meta.profile");
        common("_security", "token", "Resource.meta.security");
        common("_tag", "token", "Resource.meta.tag");
        common("_content", "string", "");
        common("_text", "string", "");
        common("_query", "token", "");
        for (String type : types.keySet()) all(type, types.get(type));
        System.out.println("{\"resourceType\":\"Bundle\",\"entry\":[\n" + String.join(",\n", entries) + "]}");
    }

    static void common(String code, String kind, String expression) {
        print("Resource", code, kind, expression, "", "");
    }

    static void all(String type, Class<?> c) throws Exception {
        Map<String, SearchParamDefinition> params = new TreeMap<>();
        for (var field : c.getFields()) {
            SearchParamDefinition p = field.getAnnotation(SearchParamDefinition.class);
            if (p != null && field.getDeclaringClass() == c) params.put(p.name(), p);
        }
        for (SearchParamDefinition p : params.values()) {
            String targets = Arrays.stream(p.target()).map(Class::getSimpleName).sorted().map(SearchParameters::quote).collect(Collectors.joining(","));
            String components = Arrays.stream(p.compositeOf())
                .map(code -> "{\"definition\":" + quote(url(type, code)) + ",\"expression\":" + quote(under(p.path(), params.get(code))) + "}")
                .collect(Collectors.joining(","));
            print(type, p.name(), p.type(), p.path(), targets, components);
        }
    }

    // under is the expression of a component, beginning at each element that the composite is about.
    static String under(String composite, SearchParamDefinition component) {
        String[] bases = composite.split(" \\| ");
        Arrays.sort(bases, (a, b) -> b.length() - a.length());
        List<String> found = new ArrayList<>();
        for (String part : component.path().split(" \\| ")) {
            for (String base : bases) {
                if (!part.startsWith(base + ".")) continue;
                String rest = part.substring(base.length() + 1);
                if (!found.contains(rest)) found.add(rest);
                break;
            }
        }
        if (found.isEmpty()) return "%resource" + component.path().substring(component.path().indexOf('.')); // as R4 writes it
        return String.join(" | ", found);
    }

    static String url(String type, String code) {
        return "http://hl7.org/fhir/SearchParameter/" + type + "-" + code;
    }

    static void print(String type, String code, String kind, String expression, String targets, String components) {
        entries.add("{\"resource\":{\"resourceType\":\"SearchParameter\",\"url\":" + quote(url(type, code)) + ",\"code\":" + quote(code) + ",\"type\":" + quote(kind)
            + ",\"expression\":" + quote(expression) + ",\"base\":[" + quote(type) + "],\"target\":[" + targets + "],\"component\":[" + components + "]}}");
    }

    static String quote(String s) {
        return "\"" + s.replace("\\", "\\\\").replace("\"", "\\\"") + "\"";
    }
}
