cwlVersion: v1.1
class: ExpressionTool
requirements:
  InlineJavascriptRequirement: {}
  LoadListingRequirement: {loadListing: deep_listing}
inputs:
  tree: Directory
outputs:
  below: 'string[]'
expression: |
  ${
    var directories = inputs.tree.listing.filter(function (entry) { return entry["class"] === "Directory"; });
    return {"below": directories[0].listing.map(function (entry) { return entry.basename; })};
  }
