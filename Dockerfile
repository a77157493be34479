# The same files as "make images" puts into its archives, for those who build images with a container engine:
#   docker build --target manager .
#   docker build --target node-agent .
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
ARG TARGETARCH
ARG VERSION=dev
WORKDIR /src
COPY . .
RUN GOARCH=$TARGETARCH make build VERSION="$VERSION"
RUN mkdir /images \
 && go run -C hack/images ./cmd/images tree --repo /src sifscan-operator /images/manager \
 && go run -C hack/images ./cmd/images tree --repo /src sifscan-node-agent /images/node-agent

FROM scratch AS node-agent
COPY --from=build /images/node-agent /
USER 65532:65532
ENTRYPOINT ["/node-agent"]

FROM scratch AS manager
COPY --from=build /images/manager /
USER 65532:65532
ENTRYPOINT ["/manager"]
