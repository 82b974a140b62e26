// Renders a Helm chart with the template engine of Go and the functions of sprig, as Helm does:
//
//	render-chart CHART RELEASE < values.yaml
//
// The values on stdin go over those of the chart. Prints one YAML document for each template, under its name.
package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
	"sigs.k8s.io/yaml"
)

type values = map[string]interface{}

func main() {
	if err := render(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func render(chart string, release string) error {
	own, err := read(filepath.Join(chart, "values.yaml"))
	if err != nil {
		return err
	}
	about, err := read(filepath.Join(chart, "Chart.yaml"))
	if err != nil {
		return err
	}
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	var given values
	if err := yaml.UnmarshalStrict(text, &given); err != nil {
		return err
	}
	merged, err := over(own, given, "")
	if err != nil {
		return err
	}
	data := values{
		"Values":  merged,
		"Release": values{"Name": release, "Namespace": "default", "Service": "Helm"},
		"Chart":   values{"Name": about["name"], "Version": about["version"], "AppVersion": about["appVersion"]},
	}

	all := template.New("chart").Option("missingkey=zero")
	functions := sprig.TxtFuncMap()
	delete(functions, "env")
	delete(functions, "expandenv")
	functions["toYaml"] = func(value interface{}) (string, error) {
		text, err := yaml.Marshal(value)
		return strings.TrimSuffix(string(text), "\n"), err
	}
	functions["required"] = func(message string, value interface{}) (interface{}, error) {
		if value == nil || value == "" {
			return nil, fmt.Errorf("%s", message)
		}
		return value, nil
	}
	functions["include"] = func(name string, data interface{}) (string, error) {
		var out strings.Builder
		err := all.ExecuteTemplate(&out, name, data)
		return out.String(), err
	}
	all.Funcs(functions)

	paths, err := filepath.Glob(filepath.Join(chart, "templates", "*"))
	if err != nil {
		return err
	}
	sort.Strings(paths)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if _, err := all.New(filepath.Base(path)).Parse(string(text)); err != nil {
			return err
		}
	}
	for _, path := range paths {
		name := filepath.Base(path)
		if strings.HasPrefix(name, "_") {
			continue
		}
		var out bytes.Buffer
		if err := all.ExecuteTemplate(&out, name, data); err != nil {
			return err
		}
		rendered := strings.TrimSpace(strings.ReplaceAll(out.String(), "<no value>", ""))
		if rendered != "" {
			fmt.Printf("---\n# Source: %s\n%s\n", name, rendered)
		}
	}
	return nil
}

func read(path string) (values, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var read values
	err = yaml.UnmarshalStrict(text, &read)
	return read, err
}

// Maps are merged, everything else is replaced; null removes. A name that the chart does not know is an error, which Helm would not tell.
func over(own values, given values, path string) (values, error) {
	merged := values{}
	for name, value := range own {
		merged[name] = value
	}
	for name, value := range given {
		before, isKnown := own[name]
		if !isKnown && len(own) > 0 {
			return nil, fmt.Errorf("the chart has no value %s%s", path, name)
		}
		if value == nil {
			delete(merged, name)
			continue
		}
		inner, isMap := value.(values)
		innerOwn, wasMap := before.(values)
		if isMap && wasMap {
			under, err := over(innerOwn, inner, path+name+".")
			if err != nil {
				return nil, err
			}
			merged[name] = under
			continue
		}
		merged[name] = value
	}
	return merged, nil
}
