{
  "cwlVersion": "v1.0",
  "$graph": [
    {
      "id": "#main",
      "class": "Workflow",
      "inputs": [{"id": "#main/file", "type": "File"}],
      "outputs": [{"id": "#main/result", "type": "File", "outputSource": "#main/large/out"}],
      "steps": [
        {
          "id": "#main/first",
          "run": "#first.cwl",
          "in": [{"id": "#main/first/file", "source": "#main/file"}],
          "out": ["#main/first/out"]
        },
        {
          "id": "#main/large",
          "run": "#large.cwl",
          "in": [{"id": "#main/large/file", "source": "#main/first/out"}],
          "out": ["#main/large/out"]
        }
      ]
    },
    {
      "id": "#first.cwl",
      "class": "CommandLineTool",
      "baseCommand": ["head", "-n", "1"],
      "inputs": [{"id": "#first.cwl/file", "type": "File", "inputBinding": {"position": 1}}],
      "stdout": "first.txt",
      "outputs": [{"id": "#first.cwl/out", "type": "File", "outputBinding": {"glob": "first.txt"}}]
    },
    {
      "id": "#large.cwl",
      "class": "CommandLineTool",
      "baseCommand": ["tr", "a-z", "A-Z"],
      "inputs": [{"id": "#large.cwl/file", "type": "File"}],
      "stdin": "$(inputs.file.path)",
      "stdout": "result.txt",
      "outputs": [{"id": "#large.cwl/out", "type": "File", "outputBinding": {"glob": "result.txt"}}]
    }
  ]
}
