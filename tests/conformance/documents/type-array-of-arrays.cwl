cwlVersion: v1.1
class: Workflow
inputs:
  lists: {type: {type: array, items: {type: array, items: int}}}
outputs:
  same:
    type: {type: array, items: {type: array, items: int}}
    outputSource: lists
steps: []
