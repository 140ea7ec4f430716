module github.com/bitlane/bitlane

go 1.26
