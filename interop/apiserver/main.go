// The real kube-apiserver and the real kubectl in one program, so that both share one build. It is kubectl when its
// file is called kubectl, kube-apiserver otherwise. The interop suite builds it; it must never gain behaviour of its own.
package main

import (
	"os"
	"path/filepath"
	"strings"

	_ "k8s.io/client-go/plugin/pkg/client/auth"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	"k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() {
	if strings.HasPrefix(filepath.Base(os.Args[0]), "kubectl") {
		if err := cli.RunNoErrOutput(cmd.NewDefaultKubectlCommand()); err != nil {
			util.CheckErr(err)
		}
		return
	}
	os.Exit(cli.Run(app.NewAPIServerCommand()))
}
