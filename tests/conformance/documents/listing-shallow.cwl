cwlVersion: v1.2
class: ExpressionTool
requirements:
  InlineJavascriptRequirement: {}
inputs:
  tree: {type: Directory, loadListing: shallow_listing}
outputs:
  names: 'string[]'
  below: boolean
expression: |
  ${
    var entries = inputs.tree.listing;
    return {
      "names": entries.map(function (entry) { return entry.basename; }).sort(),
      "below": entries.some(function (entry) { return Boolean(entry.listing && entry.listing.length); })
    };
  }
