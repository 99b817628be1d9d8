// Names the version of gitleaks whose rules are kept in components/settings/secret_patterns.json; nothing is built of it.
module ecs-delivery/gitleaks

go 1.21

require github.com/zricethezav/gitleaks/v8 v8.30.1
